#include "fly/repo/lsn.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>

namespace fly::repo {

namespace {

std::optional<std::uint32_t> parse_half(std::string_view text) {
  auto is_hex = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  };
  if (text.empty() || text.size() > 8 || !std::all_of(text.begin(), text.end(), is_hex))
    return std::nullopt;
  std::uint32_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return value;
}

} // namespace

std::optional<lsn> lsn::parse(std::string_view text) {
  auto slash = text.find('/');
  if (slash == std::string_view::npos)
    return std::nullopt;
  auto high = parse_half(text.substr(0, slash));
  auto low = parse_half(text.substr(slash + 1));
  if (!high || !low)
    return std::nullopt;
  return lsn{(std::uint64_t{*high} << 32) | *low};
}

std::string to_string(lsn where) {
  char text[18];
  auto size = std::snprintf(text, sizeof(text), "%X/%X", static_cast<unsigned>(where.bytes() >> 32),
                            static_cast<unsigned>(where.bytes() & 0xFFFFFFFFu));
  return {text, static_cast<std::size_t>(size)};
}

} // namespace fly::repo
