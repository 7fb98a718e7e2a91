#pragma once

#include <span>
#include <string>
#include <vector>

namespace fly::fuzz {

/// Bytes as the frames of a stranger who does not know the secret, for one side of the handshake.
/// The first byte says which: even, the acceptor; odd, the dialler.
void handshake(std::span<const char> input);

/// Inputs to begin with: what a true peer says, with a proof that cannot hold.
std::vector<std::string> handshake_seeds();

} // namespace fly::fuzz
