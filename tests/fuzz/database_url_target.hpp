#pragma once

#include <span>

namespace fly::fuzz {

/// Bytes as the URL of a database, which may hold a password that no text may tell.
void database_url(std::span<const char> input);

} // namespace fly::fuzz
