#include "fly/repo/position.hpp"

#include <algorithm>
#include <charconv>
#include <tuple>
#include <vector>

#include "fly/actors/error.hpp"

namespace fly::repo {

namespace {

/// Reads a decimal number above 0 as `to_string` writes it, without sign or leading zeros.
template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number value = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || text.front() < '1' || text.front() > '9' || code != std::errc{} ||
      end != text.data() + text.size())
    return std::nullopt;
  return value;
}

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  for (;;) {
    auto dot = text.find('.');
    parts.push_back(text.substr(0, dot));
    if (dot == std::string_view::npos)
      return parts;
    text.remove_prefix(dot + 1);
  }
}

caf::error malformed(const char* part) {
  return make_error(errc::invalid_argument, std::string{"not a position: its "} + part +
                                                " is wrong; expected system.timeline.lsn[.xid]");
}

} // namespace

bool same_history(const position& a, const position& b) noexcept {
  return a.system == b.system && a.timeline == b.timeline;
}

std::partial_ordering compare(const position& a, const position& b) noexcept {
  if (!same_history(a, b))
    return std::partial_ordering::unordered;
  return a.lsn <=> b.lsn;
}

std::optional<position> merge(const position& a, const position& b) {
  if (!same_history(a, b))
    return std::nullopt;
  auto result = a;
  result.lsn = std::max(a.lsn, b.lsn);
  if (a.xid != b.xid)
    result.xid.reset();
  return result;
}

std::optional<position> merge(const position& a, const position& b,
                              const timeline_history& history) {
  if (a.system != b.system)
    return std::nullopt;
  if (a.timeline == b.timeline)
    return merge(a, b);
  const auto& [older, newer] = a.timeline < b.timeline ? std::tie(a, b) : std::tie(b, a);
  auto shared = history.shared(older.timeline, newer.timeline);
  if (shared.what != timeline_history::share::kind::prefix || shared.until < older.lsn)
    return std::nullopt;
  return newer; // its log goes on from where the older one ended
}

std::string to_string(const position& where) {
  auto result = std::to_string(where.system) + '.' + std::to_string(where.timeline) + '.' +
                to_string(where.lsn);
  if (where.xid)
    result += '.' + std::to_string(*where.xid);
  return result;
}

caf::expected<position> parse_position(std::string_view text) {
  // 20 + 10 + 17 + 20 digits and three dots.
  constexpr std::size_t longest = 70;
  if (text.size() > longest)
    return malformed("length");
  auto parts = split(text);
  if (parts.size() < 3 || parts.size() > 4)
    return malformed("number of parts");
  auto system = parse_number<std::uint64_t>(parts[0]);
  if (!system)
    return malformed("system identifier");
  auto timeline = parse_number<std::uint32_t>(parts[1]);
  if (!timeline)
    return malformed("timeline");
  auto where = lsn::parse(parts[2]);
  if (!where || to_string(*where) != parts[2])
    return malformed("LSN");
  position result{*system, *timeline, *where, std::nullopt};
  if (parts.size() == 4) {
    result.xid = parse_number<std::uint64_t>(parts[3]);
    if (!result.xid)
      return malformed("transaction id");
  }
  return result;
}

} // namespace fly::repo
