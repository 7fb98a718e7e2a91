#pragma once

#include <span>

namespace fly::fuzz {

/// Bytes for one end of an encrypted link. The first byte says which: even, a stranger's to an end
/// that has just begun (bit 1: the dialler); odd, laid over what a true peer has sealed.
void tls(std::span<const char> input);

} // namespace fly::fuzz
