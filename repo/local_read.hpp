#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include <caf/expected.hpp>

#include "fly/repo/position.hpp"
#include "fly/repo/server_identity.hpp"
#include "fly/repo/spot.hpp"
#include "fly/repo/transaction_runner.hpp"

namespace fly::repo {

class database_core;

/// What a server must be for a read. A value.
struct read_wants {
  /// It has all of these.
  std::vector<position> positions{};
  /// It is a primary's: not in recovery.
  bool primary = false;
};

/// Which server a read was done on, and how far that was at the end: no transaction that was seen
/// is later.
struct read_end {
  server_identity server{};
  std::optional<spot> at{}; ///< Nothing in a sandbox.
};

/// Runs `body`, or `one` in its place, in a read-only transaction on the local database, once that
/// is what is wanted by the word of the connection that reads: who stands behind it may be another
/// server than the one that the tracker watches. Waits for that until `until`; `deadline` bounds
/// the read. Blocks. Errors: those of `transaction_runner::run_read`. And, nothing was read:
/// errc::not_visible, it was not there in time; errc::foreign_position, errc::may_be_lost, it never
/// will be; errc::not_primary, it is a replica, and a primary is wanted.
caf::expected<read_end> read_when_there(database_core& core, const read_wants& wants,
                                        std::chrono::steady_clock::time_point until,
                                        std::chrono::steady_clock::time_point deadline,
                                        const transaction_runner::read_body& body,
                                        const one_query* one = nullptr);

} // namespace fly::repo
