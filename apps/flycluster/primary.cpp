#include "apps/flycluster/primary.hpp"

#include <algorithm>
#include <iostream>

#include <nlohmann/json.hpp>

#include "apps/common/json.hpp"
#include "fly/actors/error.hpp"
#include "fly/rpc/verbs.hpp"

namespace fly::apps {

namespace {

/// The row of each member that has a database: what it claims.
void print_claims(const primary_picture& seen) {
  for (const auto& each : seen.members) {
    auto member = member_json(each);
    std::cout << "  " << each.id << "  " << each.region << "  " << each.role;
    if (each.timeline != 0)
      std::cout << "  timeline " << each.timeline << "  " << member["lsn"].get<std::string>();
    if (each.lag_us > 0)
      std::cout << "  " << each.lag_us / 1000 << " ms behind";
    if (!each.reason.empty())
      std::cout << "  (" << each.reason << ")";
    std::cout << '\n';
  }
}

void print_history(const primary_picture& seen) {
  if (!seen.without_history.empty()) {
    std::cout << "history: not known, " << seen.without_history << '\n';
    return;
  }
  std::cout << (seen.history.empty() ? "history: no promotion was noted\n" : "history:\n");
  for (const auto& each : seen.history)
    std::cout << "  timeline " << each.timeline << " left " << each.parent << " at "
              << (each.left_at.empty() ? "an unknown place" : each.left_at) << ", noted "
              << each.noted_at << '\n';
}

void print_ids(const char* what, const std::vector<std::string>& ids) {
  if (ids.empty())
    return;
  std::cout << what;
  for (const auto& id : ids)
    std::cout << ' ' << id;
  std::cout << '\n';
}

void print_text(const primary_picture& seen) {
  const auto& now = seen.primary;
  if (now.group.empty())
    std::cout << "primary: nobody; the last one was in " << now.region << '\n';
  else
    std::cout << "primary: " << now.region
              << (now.timeline == 0 ? std::string{", by the label: no database has answered"}
                                    : ", timeline " + std::to_string(now.timeline))
              << '\n';
  print_ids("members of its group:", now.group);
  std::cout << "leader: " << (seen.leader.id.empty() ? "nobody" : seen.leader.id) << '\n';
  print_ids("CONFLICT, writable beside the primary on its timeline:", now.conflict);
  print_ids("ZOMBIE, still writable on a timeline that was left:", now.zombies);
  std::cout << "claims:\n";
  print_claims(seen);
  print_history(seen);
}

void print_json(const primary_picture& seen) {
  auto claims = nlohmann::json::array();
  for (const auto& each : seen.members)
    claims.push_back(member_json(each));
  auto history = nlohmann::json::array();
  for (const auto& each : seen.history)
    history.push_back({{"timeline", each.timeline},
                       {"parent", each.parent},
                       {"left_at", each.left_at},
                       {"noted_at", each.noted_at}});
  std::cout << nlohmann::json{{"seen_by", seen.seen_by},
                              {"region", seen.primary.region},
                              {"timeline", seen.primary.timeline},
                              {"system", std::to_string(seen.primary.system)},
                              {"group", seen.primary.group},
                              {"leader", seen.leader.id},
                              {"conflict", seen.primary.conflict},
                              {"zombies", seen.primary.zombies},
                              {"claims", claims},
                              {"history", history},
                              {"without_history", seen.without_history}}
                   .dump(2)
            << '\n';
}

/// Any member with a database may tell the history; the primary's own knows it first.
void add_history(const visit& here, primary_picture& seen) {
  std::vector<std::string> ids = seen.primary.group;
  for (const auto& each : seen.members)
    if (each.role == "replica")
      ids.push_back(each.id);
  seen.without_history = "no member has a database";
  for (const auto& id : ids) {
    auto rows = rpc_member(here.rpc.with({.timeout = here.timeout}), id, repo::timelines);
    if (!rows) {
      seen.without_history = text_of(rows.error());
      continue;
    }
    seen.without_history.clear();
    std::copy_if(rows->begin(), rows->end(), std::back_inserter(seen.history),
                 [&](const auto& row) { return row.system == seen.primary.system; });
    return;
  }
}

} // namespace

caf::expected<primary_picture> look_at_primary(const visit& here) {
  auto around = look_around(here);
  if (!around)
    return std::move(around.error());
  primary_picture result{.seen_by = around->seen_by, .members = std::move(around->members)};
  auto quick = here.rpc.with({.timeout = here.timeout});
  auto primary = rpc_member(quick, result.seen_by, rpc::primary);
  if (!primary)
    return std::move(primary.error());
  result.primary = std::move(*primary);
  if (auto leader = rpc_member(quick, result.seen_by, rpc::leader))
    result.leader = std::move(*leader);
  return result;
}

int run_primary(const visit& here) {
  auto seen = look_at_primary(here);
  if (!seen)
    return print_error(here.json, seen.error());
  add_history(here, *seen);
  if (here.json)
    print_json(*seen);
  else
    print_text(*seen);
  return exit_done;
}

} // namespace fly::apps
