#include "tests/simulation/history.hpp"

#include <algorithm>

#include "fly/actors/error.hpp"
#include "tests/simulation/world.hpp"

namespace fly::simulation {

using namespace std::chrono_literals;

namespace {

/// How long after its deadline a caller may be told: a tick of the endpoint, and what was due then.
constexpr auto deadline_slack = 300ms;

/// How long a waiter may sleep on once the local database has what it waits for, and nothing is in
/// the way: the longest gap between two questions, and their way.
constexpr moment wake_max = 300ms;

std::string name_of(std::uint64_t number) {
  return "write " + std::to_string(number);
}

} // namespace

tallies& tallies::operator+=(const tallies& other) noexcept {
  writes += other.writes;
  acknowledged += other.acknowledged;
  unknown += other.unknown;
  nothing_ran += other.nothing_ran;
  visible += other.visible;
  repeated += other.repeated;
  leader_commits += other.leader_commits;
  lost_at_promotion += other.lost_at_promotion;
  calls += other.calls;
  answers += other.answers;
  promotions += other.promotions;
  return *this;
}

std::uint64_t history::begin(machine& where, machine_clock::steady deadline, bool keyed,
                             bool on_leader) {
  ++counts.writes;
  auto& fresh = all_[++last_];
  fresh.where = &where;
  fresh.deadline = deadline;
  fresh.begun = now();
  fresh.keyed = keyed;
  fresh.on_leader = on_leader;
  under_way_[last_] = &fresh;
  return last_;
}

history::operation* history::find(std::uint64_t number, const char* what) {
  auto& found = all_.at(number);
  under_way_.erase(number);
  if (found.over)
    world_.violate(name_of(number) + " is told a second time: " + what);
  found.over = true;
  return &found;
}

void history::acknowledged(std::uint64_t number, const repo::commit_report& report) {
  auto& what = *find(number, "committed");
  what.is_acknowledged = true;
  what.at = report.where;
  ++counts.acknowledged;
  counts.visible += report.visible ? 1 : 0;
  counts.repeated += report.repeated ? 1 : 0;
  world_.log.add(what.where->id, name_of(number) + " is committed at " + to_string(report.where) +
                                     (report.visible ? ", visible"
                                      : report.late  ? ", " + fly::to_string(report.late)
                                                     : ""));
  if (!commits_.contains(number))
    world_.violate(name_of(number) + " was acknowledged, and was never committed");
  check_seen(number, what, report);
}

/// A waiter must not be woken before the local database has what it waits for, and soon after.
void history::check_seen(std::uint64_t number, const operation& what,
                         const repo::commit_report& told) {
  auto& local = world_.databases->of(what.where->region);
  bool there = local.rows().orders.contains(number);
  if (now() - local.rebuilt < 1s)
    return;
  if (told.visible && !there)
    return world_.violate(name_of(number) + " is told to be visible in " + local.region() +
                          ", and is not: a waiter was woken early");
  bool judged = local.timeline() == told.where.timeline ||
                (local.timeline() > told.where.timeline &&
                 local.rows().timelines.contains(local.timeline())); // somebody has told of it
  bool in_time = told.visible || (told.late && told.late == errc::not_visible);
  bool exact = told.where.xid.has_value(); // without it the LSN may be of something later
  if (!there || !exact || !judged || !in_time || told.timing.until_visible.count() == 0)
    return;
  auto since = std::max({local.applied_at(number), now() - moment{told.timing.until_visible},
                         local.history_changed + 600ms, local.disturbed + 1500ms,
                         what.where->disturbed + 1500ms});
  if (now() - since > wake_max)
    world_.violate(name_of(number) + " was visible in " + local.region() + " " +
                   std::to_string((now() - since) / 1ms) + " ms before its waiter was told");
}

void history::failed(std::uint64_t number, const caf::error& reason) {
  auto& what = *find(number, "an error");
  auto known = effect_of(reason);
  what.nothing_ran = known != effect::unknown;
  ++(what.nothing_ran ? counts.nothing_ran : counts.unknown);
  world_.log.add(what.where->id, name_of(number) + " ends with " + fly::to_string(reason));
  if (what.nothing_ran && commits_.contains(number))
    world_.violate(name_of(number) +
                   " is committed, and its caller was told that nothing "
                   "remains: " +
                   fly::to_string(reason));
}

void history::crashed(const machine& where) {
  std::erase_if(under_way_, [&](const auto& entry) {
    if (entry.second->where != &where)
      return false;
    entry.second->over = true;
    return true;
  });
}

void history::committed(std::uint64_t number, postgres& at, const repo::position& where,
                        const cluster::epoch& turn, const std::string& by) {
  auto& known = commits_[number];
  known.push_back({where.timeline, where.lsn.bytes(), now()});
  world_.log.add(at.host().id, name_of(number) + " of " + by + " at " + to_string(where));
  const auto& what = all_.at(number);
  auto times = at.rows().orders[number];
  if (what.keyed && times > 1)
    world_.violate(name_of(number) + " has a key and was done " + std::to_string(times) +
                   " times in " + at.region());
  if (what.over && what.nothing_ran)
    world_.violate(name_of(number) + " is committed after its caller was told that nothing ran");
  if (!what.on_leader)
    return;
  ++counts.leader_commits;
  auto first = leaders_.try_emplace(turn, by).first;
  if (first->second != by)
    world_.violate("two leaders commit in epoch " + to_string(turn) + ": " + first->second +
                   " and " + by);
  if (at.rows().epoch != turn)
    world_.violate(by + " commits in epoch " + to_string(turn) + ", which is over: " +
                   to_string(at.rows().epoch) + " is that of " + at.rows().lease_holder);
}

void history::check_deadlines() {
  for (const auto& [number, what] : under_way_) {
    auto& where = *what->where;
    if (where.frozen || where.clock.steady_at(now()) < what->deadline + deadline_slack ||
        now() - where.disturbed < deadline_slack)
      continue;
    return world_.violate(name_of(number) + " of " + where.id +
                          " has not been told anything, long after its deadline");
  }
}

/// Whether the record lies on a timeline that was left before it.
bool history::past_switch(const postgres_cluster& servers, const commit_place& where) const {
  auto timeline = servers.switches().empty() ? 1U : servers.switches().rbegin()->first;
  while (timeline > where.timeline) {
    const auto& start = servers.switches().at(timeline);
    if (start.parent == where.timeline)
      return where.end > start.left_at->bytes();
    timeline = start.parent;
  }
  return timeline < where.timeline; // the present one does not come from it at all
}

void history::check_end(postgres_cluster& servers) {
  auto& rows = servers.primary().rows();
  for (const auto& [number, what] : all_) {
    auto found = rows.orders.find(number);
    auto times = found == rows.orders.end() ? 0 : found->second;
    if (what.keyed && times > 1)
      world_.violate(name_of(number) + " has a key and was done " + std::to_string(times) +
                     " times");
    if (!what.is_acknowledged || times > 0)
      continue;
    auto places = commits_.find(number);
    bool past = places != commits_.end() &&
                std::all_of(places->second.begin(), places->second.end(),
                            [&](const auto& each) { return past_switch(servers, each); });
    if (past)
      ++counts.lost_at_promotion;
    else
      world_.violate(name_of(number) + " of " + what.where->id + " was acknowledged, and is lost");
  }
}

} // namespace fly::simulation
