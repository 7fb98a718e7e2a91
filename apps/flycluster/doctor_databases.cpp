#include <algorithm>
#include <set>

#include "apps/flycluster/doctor.hpp"

namespace fly::apps {

namespace {

using state = enum finding::state;

constexpr std::int64_t lag_max_us = 10'000'000;

/// The timeline of the primary: of those that are writable the newest; 0 where none is.
std::uint32_t newest_timeline(const std::vector<rpc::member_report>& members) {
  std::uint32_t newest = 0;
  for (const auto& each : members)
    if (each.role == "primary")
      newest = std::max(newest, each.timeline);
  return newest;
}

bool is_zombie(const rpc::member_report& who, std::uint32_t newest) {
  return who.role == "primary" && who.timeline < newest;
}

findings judge_one(const rpc::member_report& who, std::uint32_t newest) {
  findings all;
  if (who.role == "unreachable")
    all.push_back({"databases", state::problem,
                   who.id + " does not reach its database: " + who.reason,
                   "look at that server, and run flycluster doctor on that machine"});
  auto left = " timeline " + std::to_string(who.timeline) + ", which the primary has left";
  if (is_zombie(who, newest))
    all.push_back({"databases", state::problem,
                   who.id + ": its database is still writable on" + left,
                   "nothing is routed to it: stop it, or make it a replica (pg_rewind)"});
  if (who.role == "replica" && who.timeline != 0 && who.timeline < newest)
    all.push_back({"databases", state::warning, who.id + ": its replica is on" + left,
                   "does it follow the new primary (primary_conninfo)? If so it may say that some "
                   "seconds late (docs/rights.md)"});
  if (who.lag_us > lag_max_us)
    all.push_back(
        {"databases", state::warning,
         who.id + ": its replica is " + std::to_string(who.lag_us / 1'000'000) + " s behind",
         "is its connection to the primary up, is replay paused?"});
  return all;
}

} // namespace

findings judge_databases(const std::vector<rpc::member_report>& members) {
  findings all;
  std::set<std::uint64_t> systems;
  bool attached = false;
  std::string primaries;
  auto newest = newest_timeline(members);
  for (const auto& each : members) {
    attached |= each.role != "none";
    if (each.role == "primary" && !is_zombie(each, newest))
      primaries += (primaries.empty() ? "" : ", ") + each.id;
    if (each.system != 0)
      systems.insert(each.system);
    for (auto& found : judge_one(each, newest))
      all.push_back(std::move(found));
  }
  if (systems.size() > 1)
    all.push_back({"databases", state::problem,
                   "the members have databases of different origin (system identifiers)",
                   "each replica must be a copy of the one primary: rebuild the strangers"});
  if (!attached)
    all.push_back({"databases", state::ok, "no member has one"});
  else if (primaries.empty())
    all.push_back({"databases", state::problem, "no member has a writable one: writes wait",
                   "start the primary, or promote a replica"});
  else
    all.push_back({"databases", state::ok, "writes go to " + primaries});
  return all;
}

} // namespace fly::apps
