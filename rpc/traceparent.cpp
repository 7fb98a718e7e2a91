#include "fly/rpc/traceparent.hpp"

#include <algorithm>

namespace fly::rpc {

namespace {

bool is_hex(std::string_view part) noexcept {
  return std::all_of(part.begin(), part.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_id(std::string_view part) noexcept {
  return is_hex(part) && part.find_first_not_of('0') != std::string_view::npos;
}

} // namespace

bool is_traceparent(std::string_view text) noexcept {
  constexpr std::size_t bytes = 55;
  constexpr std::size_t bytes_max = 512;
  if (text.size() < bytes || text.size() > bytes_max)
    return false;
  auto version = text.substr(0, 2);
  bool dashes = text[2] == '-' && text[35] == '-' && text[52] == '-';
  bool ends = text.size() == bytes || (version != "00" && text[bytes] == '-');
  bool printable =
      std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
  return dashes && ends && printable && is_hex(version) && version != "ff" &&
         is_id(text.substr(3, 32)) && is_id(text.substr(36, 16)) && is_hex(text.substr(53, 2));
}

} // namespace fly::rpc
