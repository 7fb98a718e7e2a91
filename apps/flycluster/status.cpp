#include "apps/flycluster/commands.hpp"

#include <algorithm>
#include <array>
#include <iomanip>
#include <iostream>

#include <nlohmann/json.hpp>

#include "apps/common/json.hpp"
#include "fly/actors/error.hpp"
#include "fly/rpc/members.hpp"
#include "fly/rpc/verbs.hpp"

namespace fly::apps {

namespace {

constexpr std::array headers{"ID",  "REGION", "ROLE",    "STATE", "TIMELINE",
                             "LSN", "LAG",    "VERSION", "SINCE"};
using line = std::array<std::string, headers.size()>;

std::string lag_text(std::int64_t microseconds) {
  if (microseconds < 0)
    return "-";
  if (microseconds < 1'000'000)
    return std::to_string(microseconds / 1000) + " ms";
  return std::to_string(microseconds / 1'000'000) + " s";
}

std::string or_dash(const nlohmann::json& text) {
  auto value = text.get<std::string>();
  return value.empty() ? "-" : value;
}

line line_of(const nlohmann::json& member) {
  auto timeline = member["timeline"].get<std::uint32_t>();
  return {member["id"].get<std::string>(),
          member["region"].get<std::string>(),
          member["role"].get<std::string>(),
          member["state"].get<std::string>(),
          timeline == 0 ? "-" : std::to_string(timeline),
          or_dash(member["lsn"]),
          lag_text(member["lag_us"].get<std::int64_t>()),
          or_dash(member["version"]),
          member["since"].get<std::string>()};
}

void print_table(const nlohmann::json& members) {
  std::vector<line> lines{line{}};
  std::copy(headers.begin(), headers.end(), lines[0].begin());
  for (const auto& member : members)
    lines.push_back(line_of(member));
  std::array<std::size_t, headers.size()> widths{};
  for (const auto& each : lines)
    for (std::size_t i = 0; i < each.size(); ++i)
      widths[i] = std::max(widths[i], each[i].size());
  for (const auto& each : lines) {
    for (std::size_t i = 0; i + 1 < each.size(); ++i)
      std::cout << std::left << std::setw(static_cast<int>(widths[i]) + 2) << each[i];
    std::cout << each.back() << '\n';
  }
  for (const auto& member : members)
    if (auto reason = member["reason"].get<std::string>(); !reason.empty())
      std::cout << member["id"].get<std::string>() << ": " << reason << '\n';
}

/// Who leads, as the member that was asked for the others sees it; null where it is too old to
/// tell.
nlohmann::json leader_by(const visit& here, const std::string& asked) {
  auto told = rpc_member(here.rpc.with({.timeout = here.timeout}), asked, rpc::leader);
  return told ? leader_json(*told) : nlohmann::json{};
}

void print_leader(const nlohmann::json& leader) {
  if (leader.is_null())
    return;
  auto id = leader["id"].get<std::string>();
  bool by_lease = leader["timeline"] != 0;
  std::cout << "leader: " << (id.empty() ? "nobody" : id);
  if (by_lease)
    std::cout << ", epoch " << leader["timeline"] << "/" << leader["counter"];
  else if (!id.empty())
    std::cout << ", without a lease";
  std::cout << '\n';
}

} // namespace

caf::expected<surroundings> look_around(const visit& here) {
  // Any member's view will do; one that is just leaving must not spoil the answer.
  caf::error last = make_error(errc::no_such_member, "all members have gone");
  for (const auto& member : here.node.members()) {
    auto views = rpc_member(here.rpc.with({.timeout = here.timeout}), member.id, rpc::members);
    if (views)
      return surroundings{member.id, std::move(*views)};
    last = views.error();
  }
  return last;
}

int run_status(const visit& here) {
  auto seen = look_around(here);
  if (!seen)
    return print_error(here.json, seen.error());
  auto rows = nlohmann::json::array();
  for (const auto& view : seen->members)
    rows.push_back(member_json(view));
  auto leader = leader_by(here, seen->seen_by);
  if (here.json) {
    nlohmann::json all{{"seen_by", seen->seen_by}, {"members", rows}, {"leader", leader}};
    std::cout << all.dump(2) << '\n';
  } else {
    print_table(rows);
    print_leader(leader);
  }
  return exit_done;
}

} // namespace fly::apps
