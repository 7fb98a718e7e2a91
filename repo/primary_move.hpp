#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <caf/meta/type_name.hpp>

#include "fly/rpc/function.hpp"

/// What a tool needs to move the primary in order; every database serves it.
namespace fly::repo {

/// What a member says once it holds writes back.
struct hold_report {
  /// Whether this member holds the commits of every node in the database, or is next in line
  /// behind one that does; neither where it has no database that is writable on that timeline.
  bool held = false;
  bool waits = false;
  /// Whether one of the two is so without a break since the last time it was asked.
  bool kept = false;
  /// Where it holds them: how far the log is with all that was committed, as `to_string` of a
  /// position.
  std::string position{};
  /// Why it neither holds nor waits, for people.
  std::string reason{};
};

template <class Inspector>
auto inspect(Inspector& f, hold_report& x) {
  return f(caf::meta::type_name("fly::hold_report"), x.held, x.waits, x.kept, x.position, x.reason);
}

/// Lets the member refuse new writes of fly for that many milliseconds (0 ends it), so that their
/// callers wait or go elsewhere; waits for those that run, half that long at most; and holds the
/// commits of every node in its database, where that is writable on the timeline (0: any). Asked
/// again it prolongs that. Longest: an hour.
inline constexpr rpc::function<hold_report(std::int64_t, std::uint32_t)> hold_writes{
    "fly.hold_writes"};

/// Waits until the member's database has a position, so many milliseconds at most. Errors: those of
/// `database::wait_for`.
inline constexpr rpc::function<bool(std::string, std::int64_t)> reach{"fly.reach"};

/// Where one timeline began, as fly.timeline has it.
struct timeline_row {
  std::uint64_t system = 0;
  std::uint32_t timeline = 0;
  std::uint32_t parent = 0;
  std::string left_at{};  ///< LSN at which the parent was left; empty where nobody could tell.
  std::string noted_at{}; ///< ISO 8601, UTC.
};

template <class Inspector>
auto inspect(Inspector& f, timeline_row& x) {
  return f(caf::meta::type_name("fly::timeline_row"), x.system, x.timeline, x.parent, x.left_at,
           x.noted_at);
}

/// The history of timelines as the member's database has it, the oldest first. Errors:
/// errc::sql_failed without fly's own tables.
inline constexpr rpc::function<std::vector<timeline_row>()> timelines{"fly.timelines"};

} // namespace fly::repo
