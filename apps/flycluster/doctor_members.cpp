#include "apps/flycluster/doctor.hpp"

#include <algorithm>
#include <cstdlib>
#include <set>

#include "fly/actors/error.hpp"
#include "fly/rpc/tools.hpp"
#include "fly/rpc/verbs.hpp"

namespace fly::apps {

namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using state = enum finding::state;

constexpr std::int64_t skew_max_us = 1'000'000;

std::string in_ms(std::int64_t us) {
  return std::to_string(us / 1000) + " ms";
}

/// The clock of one member against ours: by the quickest of some round trips.
finding check_clock(const visit& here, const std::string& id) {
  constexpr int probes = 3;
  std::int64_t best = -1;
  std::int64_t skew = 0;
  for (int i = 0; i < probes; ++i) {
    auto begun = std::chrono::steady_clock::now();
    auto ours = duration_cast<microseconds>(std::chrono::system_clock::now().time_since_epoch());
    auto theirs = rpc_member(here.rpc.with({.timeout = here.timeout}), id, rpc::clock_us);
    if (!theirs)
      return {"clocks", state::warning, id + ": not measured: " + fly::to_string(theirs.error()),
              "a member of an older version cannot tell its clock"};
    auto took = duration_cast<microseconds>(std::chrono::steady_clock::now() - begun).count();
    if (best >= 0 && took >= best)
      continue;
    best = took;
    skew = *theirs - (ours.count() + took / 2);
  }
  auto text = id + ": " + in_ms(std::abs(skew)) + (skew < 0 ? " behind" : " ahead") +
              " of this machine (give or take " + in_ms(best / 2 + 1) + ")";
  if (std::abs(skew) - best / 2 <= skew_max_us)
    return {"clocks", state::ok, text};
  return {"clocks", state::warning, text,
          "let both machines keep their time (NTP): a restart after the clock was set back looks "
          "like an old process"};
}

findings check_versions(const std::vector<rpc::member_report>& members) {
  std::set<std::string> versions;
  for (const auto& each : members)
    versions.insert(each.version.empty() ? "(none)" : each.version);
  std::string text;
  for (const auto& each : versions)
    text += (text.empty() ? "" : ", ") + each;
  if (versions.size() <= 1)
    return {{"versions", state::ok, "all members run " + text}};
  return {{"versions", state::warning, "members run " + text,
           "normal during a deploy; functions whose types differ are refused, not confused"}};
}

} // namespace

findings check_members(const visit& here) {
  caf::expected<std::vector<rpc::member_report>> seen{make_error(errc::no_such_member)};
  for (const auto& member : here.node.members()) {
    seen = rpc_member(here.rpc.with({.timeout = here.timeout}), member.id, rpc::members);
    if (seen)
      break;
  }
  if (!seen)
    return {{"members", state::problem, "no member answers: " + fly::to_string(seen.error()),
             "look at the members' logs"}};
  findings all{{"members", state::ok, std::to_string(seen->size()) + " see each other"}};
  for (const auto& each : *seen)
    if (each.state == "suspect")
      all.push_back({"members", state::warning, each.id + " in " + each.region + " is silent",
                     "frozen, overloaded or cut off; it is gone soon unless it comes back"});
  for (const auto& part : {judge_databases(*seen), check_versions(*seen)})
    all.insert(all.end(), part.begin(), part.end());
  for (const auto& each : *seen)
    if (each.state != "suspect")
      all.push_back(check_clock(here, each.id));
  return all;
}

} // namespace fly::apps
