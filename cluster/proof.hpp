#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

namespace fly::cluster {

/// A proof to know a secret: an HMAC-SHA256.
using proof = std::array<std::byte, 32>;

/// Returns the HMAC-SHA256 of `bytes` with `key`, which may be empty.
proof prove(std::string_view key, std::span<const std::byte> bytes);

/// Compares in constant time.
bool same_proof(const proof& mine, std::span<const std::byte> theirs) noexcept;

} // namespace fly::cluster
