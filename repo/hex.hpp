#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fly::repo {

/// Returns two lower-case digits for each byte.
std::string to_hex(std::span<const std::byte> bytes);

/// Reads what `to_hex` makes, also with upper-case digits; nothing where it is malformed.
std::optional<std::vector<char>> from_hex(std::string_view digits);

} // namespace fly::repo
