#include "fly/repo/position_row.hpp"

#include <charconv>
#include <string_view>

namespace fly::repo {

namespace {

template <class Number>
std::optional<Number> parse_number(std::string_view text, int base) {
  Number value = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || code != std::errc{} || end != text.data() + text.size() || value == 0)
    return std::nullopt;
  return value;
}

} // namespace

std::optional<position> read_position(std::uint64_t system, const pqxx::result& rows,
                                      std::string_view xid) {
  if (rows.size() != 1 || rows.columns() < 2)
    return std::nullopt;
  return read_position(system, rows[0][0].c_str(), rows[0][1].c_str(), xid);
}

std::optional<position> read_position(std::uint64_t system, std::string_view at,
                                      std::string_view on, std::string_view xid) {
  auto where = lsn::parse(at);
  auto timeline = parse_number<std::uint32_t>(on.substr(0, 8), 16);
  auto number = parse_number<std::uint64_t>(xid, 10);
  if (!where || !timeline || (!xid.empty() && !number))
    return std::nullopt;
  return position{system, *timeline, *where, number};
}

} // namespace fly::repo
