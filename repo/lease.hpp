#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include <caf/error.hpp>
#include <caf/expected.hpp>

#include "fly/cluster/claim.hpp"
#include "fly/cluster/member.hpp"
#include "fly/repo/pq_link.hpp"

namespace fly::repo {

/// SQLSTATE of a fence whose epoch is over.
inline constexpr const char* epoch_is_over = "FL001";

/// What the database says of the lease of the leader. A value.
struct lease_answer {
  /// Whether it is now with who asked.
  bool held = false;
  /// Id of its holder, or of its last one.
  std::string holder{};
  /// How long it is good for, by the database's clock; 0 where it is over.
  std::chrono::milliseconds left{0};
  /// The latest turn: of the holder, or the last one.
  cluster::epoch turn{};
};

/// Takes the lease for `lasts` where it is free or `me` has it, in one transaction and one round
/// trip. The epoch goes up where it is taken, and stays where it is renewed: by the same process,
/// in time, on the same timeline. A later run of a member takes it from the earlier one. Leaves
/// nothing in the session, which may be a pooler's. Errors: as `pq_link::query`; errc::sql_failed
/// where there are no tables, or no right to the functions (docs/rights.md), on a replica, and
/// while commits are held (commit_hold.hpp).
caf::expected<lease_answer> take_lease(pq_link& link, const cluster::member& me,
                                       std::chrono::milliseconds lasts,
                                       pq_link::time_point deadline);

/// Ends the lease where `me` has it: another can take it at once. Errors: as `pq_link::query`.
caf::error end_lease(pq_link& link, const cluster::member& me, pq_link::time_point deadline);

/// Returns the fence: a statement that fails with `epoch_is_over` unless the epoch is `turn`, and
/// keeps it so until the transaction ends.
std::string fence_of(const cluster::epoch& turn);

} // namespace fly::repo
