#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <caf/meta/type_name.hpp>

#include "fly/rpc/function.hpp"

namespace fly::cluster {
struct member_view;
struct primary_state;
} // namespace fly::cluster

namespace fly::rpc {

/// What one member knows of another (or of itself), in a form that travels: see
/// cluster::member_view. A value.
struct member_report {
  std::string id;
  std::uint64_t incarnation = 0;
  std::string region;
  std::string address;
  std::string version;
  std::string state; ///< "self", "alive", "suspect".
  std::string role;  ///< Of its database: "none", "unknown", "unreachable", "replica", "primary".
  std::uint64_t system = 0;
  std::uint32_t timeline = 0;     ///< 0 where unknown.
  std::uint64_t lsn = 0;          ///< Flushed (primary) or replayed (replica), in bytes.
  std::int64_t lag_us = -1;       ///< Replay delay of a replica; -1 where unknown.
  std::string reason;             ///< Why its database is unreachable.
  std::uint32_t load = 0;         ///< Calls that run or wait there.
  std::int64_t since_us = 0;      ///< First seen, microseconds since the epoch.
  std::int64_t round_trip_us = 0; ///< Of the last heartbeat; 0 where not measured.
};

template <class Inspector>
auto inspect(Inspector& f, member_report& x) {
  return f(caf::meta::type_name("fly::member_report"), x.id, x.incarnation, x.region, x.address,
           x.version, x.state, x.role, x.system, x.timeline, x.lsn, x.lag_us, x.reason, x.load,
           x.since_us, x.round_trip_us);
}

/// Who leads, as one member sees it: see cluster::node::leader. A value.
struct leader_report {
  std::string id;             ///< Empty where nobody leads.
  std::uint32_t timeline = 0; ///< Of the epoch; 0 where there is no lease, and then it is no fence.
  std::uint64_t counter = 0;  ///< Of the epoch.
};

template <class Inspector>
auto inspect(Inspector& f, leader_report& x) {
  return f(caf::meta::type_name("fly::leader_report"), x.id, x.timeline, x.counter);
}

/// Served by every endpoint: who leads.
inline constexpr function<leader_report()> leader{"fly.leader"};

/// Who is primary, as one member sees it: see cluster::primary_state. A value.
struct primary_report {
  std::string region;
  std::uint64_t system = 0;          ///< 0 without a database.
  std::uint32_t timeline = 0;        ///< 0 without a database.
  std::vector<std::string> group;    ///< Ids of the primary group, sorted; so are the others.
  std::vector<std::string> conflict; ///< Whose database is writable beside the group's.
  std::vector<std::string> zombies;  ///< Whose database is writable on a timeline that was left.
};

template <class Inspector>
auto inspect(Inspector& f, primary_report& x) {
  return f(caf::meta::type_name("fly::primary_report"), x.region, x.system, x.timeline, x.group,
           x.conflict, x.zombies);
}

/// Served by every endpoint: who is primary.
inline constexpr function<primary_report()> primary{"fly.primary"};

/// Served by every endpoint: the members as it sees them, itself included.
inline constexpr function<std::vector<member_report>()> members{"fly.members"};

/// Returns `views` in the form that travels.
std::vector<member_report> report(const std::vector<cluster::member_view>& views);

/// Returns who leads in the form that travels.
leader_report report(const cluster::primary_state& state);

/// Returns who is primary in the form that travels.
primary_report report_primary(const cluster::primary_state& state);

} // namespace fly::rpc
