#include "fly/repo/hex.hpp"

#include <charconv>

namespace fly::repo {

std::string to_hex(std::span<const std::byte> bytes) {
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string result;
  result.reserve(2 * bytes.size());
  for (auto byte : bytes) {
    auto value = std::to_integer<unsigned>(byte);
    result += digits[value >> 4];
    result += digits[value & 15];
  }
  return result;
}

std::optional<std::vector<char>> from_hex(std::string_view digits) {
  if (digits.size() % 2 != 0)
    return std::nullopt;
  std::vector<char> result;
  result.reserve(digits.size() / 2);
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    unsigned char byte = 0;
    const auto* first = digits.data() + i;
    auto [end, code] = std::from_chars(first, first + 2, byte, 16);
    if (code != std::errc{} || end != first + 2)
      return std::nullopt;
    result.push_back(static_cast<char>(byte));
  }
  return result;
}

} // namespace fly::repo
