#include "fly/repo/timeline_history.hpp"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>
#include <vector>

#include "fly/actors/error.hpp"

namespace fly::repo {

void timeline_history::add(std::uint32_t timeline, timeline_start from) {
  if (from.parent == 0 || from.parent >= timeline)
    return;
  auto [it, is_new] = starts_.emplace(timeline, from);
  if (!is_new && !it->second.left_at)
    it->second = from;
}

timeline_history::share timeline_history::shared(std::uint32_t older, std::uint32_t newer) const {
  std::optional<lsn> least; // of the switch points above `older`
  for (auto at = newer; at > older;) {
    auto it = starts_.find(at);
    if (it == starts_.end())
      return {share::kind::unknown, {}};
    const auto& [parent, left_at] = it->second;
    if (parent < older)
      return {share::kind::nothing, {}};
    if (!left_at)
      return {share::kind::nothing, {}};
    least = least ? std::min(*least, *left_at) : *left_at;
    at = parent;
  }
  return {share::kind::prefix, least.value_or(lsn{})};
}

std::uint32_t timeline_history::newest() const noexcept {
  return starts_.empty() ? 0 : starts_.rbegin()->first;
}

namespace {

caf::error malformed(std::string_view line) {
  return make_error(errc::database_unavailable,
                    "the server's timeline history has a line that is none: " + std::string{line});
}

/// Returns the two first fields of a line.
std::optional<std::pair<std::uint32_t, lsn>> parse_line(std::string_view line) {
  std::uint32_t parent = 0;
  auto [end, code] = std::from_chars(line.data(), line.data() + line.size(), parent);
  auto rest = line.substr(static_cast<std::size_t>(end - line.data()));
  if (code != std::errc{} || parent == 0 || rest.empty() || rest.front() != '\t')
    return std::nullopt;
  auto where = lsn::parse(rest.substr(1, rest.find_first_of("\t\r", 1) - 1));
  if (!where)
    return std::nullopt;
  return std::pair{parent, *where};
}

} // namespace

caf::expected<timeline_history> parse_history_file(std::uint32_t timeline, std::string_view text) {
  std::vector<std::pair<std::uint32_t, lsn>> lines;
  while (!text.empty()) {
    auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    auto first = line.find_first_not_of(" \t\r");
    if (first == std::string_view::npos || line[first] == '#')
      continue;
    auto parsed = parse_line(line.substr(first));
    if (!parsed || (!lines.empty() && parsed->first <= lines.back().first))
      return malformed(line);
    lines.push_back(*parsed);
  }
  timeline_history result;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    auto child = i + 1 < lines.size() ? lines[i + 1].first : timeline;
    result.add(child, {lines[i].first, lines[i].second});
  }
  return result;
}

} // namespace fly::repo
