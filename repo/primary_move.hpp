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
  /// Whether all writes that had begun have ended.
  bool drained = false;
  /// How far the database's log is then, as `to_string` of a position; empty where it cannot tell.
  std::string position{};
};

template <class Inspector>
auto inspect(Inspector& f, hold_report& x) {
  return f(caf::meta::type_name("fly::hold_report"), x.drained, x.position);
}

/// Lets the member refuse new writes of fly for that many milliseconds (0 ends it), so that their
/// callers wait or go elsewhere, and waits for those that run, that long at most. Longest: an hour.
inline constexpr rpc::function<hold_report(std::int64_t)> hold_writes{"fly.hold_writes"};

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
