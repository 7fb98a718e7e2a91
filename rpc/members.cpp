#include "fly/rpc/members.hpp"

#include <chrono>

#include "fly/cluster/claim.hpp"
#include "fly/cluster/primary.hpp"

namespace fly::rpc {

std::vector<member_report> report(const std::vector<cluster::member_view>& views) {
  using std::chrono::duration_cast;
  using std::chrono::microseconds;
  std::vector<member_report> result;
  result.reserve(views.size());
  for (const auto& view : views)
    result.push_back(
        {.id = view.who.id,
         .incarnation = view.who.incarnation,
         .region = view.who.region,
         .address = view.who.address,
         .version = view.who.version,
         .state = std::string{to_string(view.state)},
         .role = std::string{to_string(view.database.role)},
         .system = view.database.system,
         .timeline = view.database.timeline,
         .lsn = view.database.lsn,
         .lag_us = view.database.lag.count(),
         .reason = view.database.reason,
         .load = view.load,
         .since_us = duration_cast<microseconds>(view.since.time_since_epoch()).count(),
         .round_trip_us = view.round_trip.count()});
  return result;
}

leader_report report(const cluster::primary_state& state) {
  return {state.leader, state.lease.timeline, state.lease.counter};
}

primary_report report_primary(const cluster::primary_state& state) {
  primary_report result{.region = state.region,
                        .system = state.system,
                        .timeline = state.timeline,
                        .group = {},
                        .conflict = state.conflict,
                        .zombies = state.zombies};
  for (const auto& each : state.group)
    result.group.push_back(each.id);
  return result;
}

} // namespace fly::rpc
