#include "fly/repo/waiters.hpp"

#include <algorithm>
#include <cassert>

#include "fly/actors/mutant.hpp"

namespace fly::repo {

verdict judge(const position& where, const progress& server) {
  if (where.system != server.system)
    return verdict::foreign;
  if (mutant("wake_early"))
    return verdict::visible;
  if (server.timeline < where.timeline)
    return server.in_recovery ? verdict::wait : verdict::foreign;
  if (server.timeline > where.timeline && !mutant("old_timeline_kept")) {
    auto shared = server.history.shared(where.timeline, server.timeline);
    if (shared.what == timeline_history::share::kind::unknown)
      return verdict::wait;
    if (shared.what == timeline_history::share::kind::nothing || shared.until < where.lsn)
      return verdict::lost;
    return where.lsn <= server.lsn ? verdict::visible : verdict::wait;
  }
  if (where.lsn <= server.lsn)
    return verdict::visible;
  const auto& seen = server.visible_xids;
  if (where.xid && std::find(seen.begin(), seen.end(), *where.xid) != seen.end())
    return verdict::visible;
  return verdict::wait;
}

std::optional<waiters::ticket> waiters::add(const position& where, time_point deadline) {
  if (waits_.size() >= waiters_max_)
    return std::nullopt;
  auto who = ++last_;
  auto& added = waits_[who];
  added.where = where;
  added.by_lsn = by_lsn_[{where.system, where.timeline}].emplace(where.lsn, who);
  added.by_deadline = by_deadline_.emplace(deadline, who);
  if (where.xid)
    added.by_xid = by_xid_.emplace(*where.xid, who);
  return who;
}

void waiters::forget(wait_map::iterator it) {
  const auto& what = it->second;
  auto group = by_lsn_.find({what.where.system, what.where.timeline});
  assert(group != by_lsn_.end());
  group->second.erase(what.by_lsn);
  if (group->second.empty())
    by_lsn_.erase(group);
  by_deadline_.erase(what.by_deadline);
  if (what.where.xid)
    by_xid_.erase(what.by_xid);
  waits_.erase(it);
}

bool waiters::cancel(ticket who) {
  auto it = waits_.find(who);
  if (it == waits_.end())
    return false;
  forget(it);
  return true;
}

std::vector<waiters::outcome> waiters::advance(const progress& server) {
  std::vector<outcome> result;
  for (const auto& [history, group] : by_lsn_) {
    for (const auto& [where, who] : group) {
      position least{history.first, history.second, where, std::nullopt};
      auto what = judge(least, server);
      if (what == verdict::wait && history.second == server.timeline)
        break; // the others of this history want at least as much
      if (what == verdict::wait)
        continue;
      result.push_back({who, what});
    }
  }
  for (const auto& [who, what] : result)
    forget(waits_.find(who));
  for (auto xid : server.visible_xids)
    for (auto it = by_xid_.lower_bound(xid); it != by_xid_.end() && it->first == xid;) {
      auto who = (it++)->second;
      auto wait = waits_.find(who);
      if (auto what = judge(wait->second.where, server); what != verdict::wait) {
        result.push_back({who, what});
        forget(wait);
      }
    }
  return result;
}

std::vector<waiters::ticket> waiters::expire(time_point now) {
  std::vector<ticket> result;
  while (!by_deadline_.empty() && by_deadline_.begin()->first <= now) {
    result.push_back(by_deadline_.begin()->second);
    forget(waits_.find(result.back()));
  }
  return result;
}

std::optional<waiters::time_point> waiters::next_deadline() const {
  if (by_deadline_.empty())
    return std::nullopt;
  return by_deadline_.begin()->first;
}

std::vector<std::uint64_t> waiters::xids(std::size_t xids_max) const {
  std::vector<std::uint64_t> result;
  // From one id to the next: thousands may wait for the same.
  for (auto it = by_xid_.begin(); it != by_xid_.end() && result.size() < xids_max;
       it = by_xid_.upper_bound(it->first))
    result.push_back(it->first);
  return result;
}

bool waiters::any_above(std::uint32_t timeline) const {
  return std::any_of(by_lsn_.begin(), by_lsn_.end(),
                     [&](const auto& group) { return group.first.second > timeline; });
}

} // namespace fly::repo
