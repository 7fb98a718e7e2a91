#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <caf/expected.hpp>

#include "apps/flycluster/commands.hpp"
#include "fly/repo/primary_move.hpp"
#include "fly/rpc/members.hpp"

namespace fly::apps {

/// Who is primary, and what is known beside it, as one member sees it.
struct primary_picture {
  std::string seen_by{};
  rpc::primary_report primary{};
  rpc::leader_report leader{};
  std::vector<rpc::member_report> members{};
  std::vector<repo::timeline_row> history{}; ///< Of the primary's system, the oldest first.
  std::string without_history{};             ///< Why there is none; empty where there is.
};

/// Asks the members one after the other until one answers. Errors: the last one's.
caf::expected<primary_picture> look_at_primary(const visit& here);

/// Prints claims, history of timelines, conflicts and zombies. Returns the exit code.
int run_primary(const visit& here);

/// How `flycluster primary move` goes about it.
struct move_options {
  std::string region;
  /// What makes the database of the region primary, for sh; empty: somebody else does.
  std::string command{};
  /// Longest time that writes are held.
  std::chrono::milliseconds hold{30'000};
};

/// Moves the primary to another region: holds writes, waits until its database has everything, runs
/// the command or says what to do, waits for the new primary and lets go. Returns the exit code.
int run_primary_move(const visit& here, const move_options& how);

} // namespace fly::apps
