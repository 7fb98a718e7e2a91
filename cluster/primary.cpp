#include "fly/cluster/primary.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace fly::cluster {

namespace {

bool has_answered(const member_view& view) {
  return view.database.role == claim::role::replica || view.database.role == claim::role::primary;
}

bool is_live(const member_view& view) {
  return view.state == presence::self || view.linked;
}

/// Returns the system that most members have; 0 where none is known.
std::uint64_t common_system(std::span<const member_view> views) {
  std::map<std::uint64_t, std::size_t> counts;
  for (const auto& view : views)
    if (has_answered(view))
      ++counts[view.database.system];
  std::uint64_t result = 0;
  std::size_t most = 0;
  for (auto [system, count] : counts)
    if (count > most) {
      result = system;
      most = count;
    }
  return result;
}

} // namespace

primary::primary(std::string label) : label_(std::move(label)) {
  state_.region = label_;
}

bool primary::update(std::span<const member_view> views) {
  primary_state next;
  next.region = state_.region;
  next.by_database = state_.by_database || std::any_of(views.begin(), views.end(), has_answered);
  auto system = common_system(views);
  if (system == 0)
    system = state_.system; // nobody knows now: what was known stays
  next.system = system;
  // A timeline that has begun is never gone back behind: whoever is still writable there is cut off
  // and does not know it.
  next.timeline = system == state_.system ? state_.timeline : 0;
  for (const auto& view : views) {
    bool writable = view.database.role == claim::role::primary && view.database.system == system;
    if (writable && is_live(view))
      next.timeline = std::max(next.timeline, view.database.timeline);
  }
  for (const auto& view : views) {
    if (!is_live(view) || view.who.observer)
      continue;
    bool writable = view.database.role == claim::role::primary && view.database.system == system &&
                    view.database.timeline == next.timeline;
    if (next.by_database ? writable : view.who.region == label_)
      next.group.push_back(view.who);
  }
  std::sort(next.group.begin(), next.group.end(),
            [](const member& a, const member& b) { return a.id < b.id; });
  if (!next.group.empty())
    next.region = next.group.front().region;
  bool changed = next != state_;
  state_ = std::move(next);
  return changed;
}

} // namespace fly::cluster
