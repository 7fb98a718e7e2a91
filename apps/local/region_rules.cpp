#include "apps/local/region_rules.hpp"

#include <algorithm>

namespace fly::local {

void region_rules::cut(std::size_t region, bool in, bool out) {
  regions_.at(region).in_cut = in;
  regions_.at(region).out_cut = out;
}

void region_rules::delay(std::size_t region, std::optional<std::chrono::milliseconds> each_way) {
  regions_.at(region).delay = each_way;
}

bool region_rules::passes(std::size_t from, std::size_t to) const {
  return from == to || !((from < regions_.size() && regions_[from].out_cut) ||
                         (to < regions_.size() && regions_[to].in_cut));
}

line_rules region_rules::between(std::size_t from, std::size_t to) const {
  line_rules result{.delay = usual_, .cut = {!passes(from, to), !passes(to, from)}};
  if (from == to)
    return result;
  std::optional<std::chrono::milliseconds> longest;
  for (auto each : {from, to})
    if (each < regions_.size() && regions_[each].delay)
      longest = std::max(longest.value_or(std::chrono::milliseconds{0}), *regions_[each].delay);
  result.delay = longest.value_or(usual_);
  return result;
}

} // namespace fly::local
