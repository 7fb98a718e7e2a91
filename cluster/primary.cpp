#include "fly/cluster/primary.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "fly/actors/mutant.hpp"

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

bool claims_to_be_primary(const member_view& view, std::uint64_t system) {
  return is_live(view) && view.database.role == claim::role::primary &&
         view.database.system == system;
}

std::vector<std::string> ids_of(const std::vector<const member_view*>& views) {
  std::vector<std::string> result;
  for (const auto* view : views)
    result.push_back(view->who.id);
  std::sort(result.begin(), result.end());
  return result;
}

/// Returns the server that stays primary among `claims`; nothing where two came at once.
std::optional<std::uint64_t> incumbent(const std::vector<const member_view*>& claims,
                                       const primary_state& before, std::uint32_t timeline) {
  bool same_timeline = before.timeline == timeline && before.server != 0;
  for (const auto* view : claims)
    if (same_timeline && view->database.server == before.server)
      return before.server;
  auto first = claims.front()->database.server;
  bool one = std::all_of(claims.begin(), claims.end(),
                         [&](const auto* view) { return view->database.server == first; });
  return one ? std::optional{first} : std::nullopt;
}

std::string joined(const std::vector<std::string>& ids) {
  std::string result;
  for (const auto& id : ids)
    result += (result.empty() ? "" : ", ") + id;
  return result;
}

} // namespace

std::vector<std::pair<log_level, std::string>> changes(const primary_state& before,
                                                       const primary_state& now) {
  std::vector<std::pair<log_level, std::string>> result;
  if (now.timeline != before.timeline && before.timeline != 0)
    result.emplace_back(log_level::warning, "the primary has moved to " + now.region +
                                                ", timeline " + std::to_string(now.timeline));
  if (now.conflict != before.conflict && !now.conflict.empty())
    result.emplace_back(log_level::error, "two writable databases on timeline " +
                                              std::to_string(now.timeline) +
                                              ", beside the primary: " + joined(now.conflict));
  if (now.zombies != before.zombies && !now.zombies.empty())
    result.emplace_back(log_level::error, "still writable on a timeline that was left: " +
                                              joined(now.zombies) + "; nothing is routed there");
  bool by_lease = now.lease != epoch{} || before.lease != epoch{};
  if (by_lease && now.leader.empty() && !before.leader.empty())
    result.emplace_back(log_level::info, "nobody leads; " + before.leader + " did, epoch " +
                                             to_string(before.lease));
  else if (by_lease && !now.leader.empty() &&
           (now.leader != before.leader || now.lease != before.lease))
    result.emplace_back(log_level::info, now.leader + " leads, epoch " + to_string(now.lease));
  return result;
}

primary::primary(std::string label) : label_(std::move(label)) {
  state_.region = label_;
}

void primary::judge(std::span<const member_view> views, primary_state& next) const {
  std::vector<const member_view*> claims;
  std::vector<const member_view*> old;
  for (const auto& view : views)
    if (claims_to_be_primary(view, next.system))
      (view.database.timeline == next.timeline ? claims : old).push_back(&view);
  if (mutant("zombie_routed_to"))
    for (const auto* view : old)
      next.group.push_back(view->who);
  else
    next.zombies = ids_of(old);
  if (claims.empty())
    return;
  auto server = incumbent(claims, state_, next.timeline);
  std::vector<const member_view*> others;
  for (const auto* view : claims) {
    if (!server || view->database.server != *server)
      others.push_back(view);
    else if (!view->who.observer)
      next.group.push_back(view->who);
  }
  next.conflict = ids_of(others);
  next.server = server.value_or(0);
}

/// Of two who say that they lead the one of the later turn does: the other has not heard yet.
void primary::find_leader(std::span<const member_view> views, primary_state& next) {
  std::vector<const member_view*> group;
  for (const auto& who : next.group)
    for (const auto& view : views)
      if (view.who.id == who.id)
        group.push_back(&view);
  for (const auto* view : group)
    next.lease = std::max(next.lease, view->database.lease);
  if (group.empty() || !next.conflict.empty())
    return;
  if (next.lease == epoch{})
    next.leader = group.front()->who.id;
  for (const auto* view : group)
    if (view->database.leads && view->database.lease == next.lease)
      next.leader = view->who.id;
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
  // and does not know it. The server that has it is remembered over its own absence.
  bool same_system = system == state_.system;
  next.timeline = same_system ? state_.timeline : 0;
  for (const auto& view : views)
    if (claims_to_be_primary(view, system))
      next.timeline = std::max(next.timeline, view.database.timeline);
  next.server = same_system && next.timeline == state_.timeline ? state_.server : 0;
  if (next.by_database)
    judge(views, next);
  else
    for (const auto& view : views)
      if (is_live(view) && !view.who.observer && view.who.region == label_)
        next.group.push_back(view.who);
  std::sort(next.group.begin(), next.group.end(),
            [](const member& a, const member& b) { return a.id < b.id; });
  find_leader(views, next);
  if (!next.group.empty())
    next.region = next.group.front().region;
  bool changed = next != state_;
  state_ = std::move(next);
  return changed;
}

} // namespace fly::cluster
