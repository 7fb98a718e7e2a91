#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fly/repo/position.hpp"
#include "fly/repo/pq_link.hpp"
#include "fly/repo/server_identity.hpp"
#include "fly/repo/waiters.hpp"

namespace fly::repo {

/// What one connection said of how far its server is. A value.
struct spot {
  /// Its history is what the asker knew.
  progress seen{};
  /// Whether fly.timeline can be read there: with it the timeline of a replica is exact.
  bool has_timelines = false;
  /// Whether a snapshot of a replica may hold the record after its replay position.
  bool next_begun = false;
  /// Whether another server answered than the connection was opened to, as a pooler may bring
  /// about: then nothing of `seen` is to be believed.
  bool is_another = false;

  /// The transactions that wrote and had not ended, where they were asked for, on a primary.
  std::vector<std::uint64_t> running{};

  /// Returns where all that a snapshot before the answer could hold is there: the place that was
  /// told, or a byte more, which only a server reaches that has all of the record after it. Of a
  /// primary it is a byte less (`is_of_primary`), which is as much: records end on multiples of 8.
  position where() const {
    auto bytes = seen.lsn.bytes();
    if (!seen.in_recovery)
      bytes -= bytes == 0 ? 0U : 1U;
    else if (next_begun)
      ++bytes;
    return {seen.system, seen.timeline, lsn{bytes}, std::nullopt};
  }
};

/// Returns whether the primary itself has shown what is seen at `where`: a write's position, or one
/// that a read there has told. What a replica has shown may be invisible there for a moment more: a
/// commit is in the log, and on replicas, before its transaction ends on the primary.
bool is_of_primary(const position& where) noexcept;

/// Returns `where`, which the primary has shown, as one that stands for what a replica has shown
/// before as well, and of which the primary has yet to show that: two bytes less than the place,
/// which is as much.
position with_shown(position where) noexcept;

/// Returns the statements, for one round trip inside or behind a transaction, that ask how far
/// the server is and which of `xids` are visible. The LSN is taken before the snapshot in which the
/// timelines are seen, so that a server on timeline T with an LSN of T has told of T, too.
/// `has_timelines`: whether fly.timeline is asked, which fails where it cannot be.
/// `wants_running`: whether a primary tells which transactions run. The last one gives the answer.
std::vector<link_statement> spot_question(std::uint64_t system, bool has_timelines,
                                          const std::vector<std::uint64_t>& xids,
                                          bool wants_running);

/// Reads the answer of `server`, of which `known` was known before: its timeline does not go back.
/// Nothing where it makes no sense.
std::optional<spot> read_spot(const link_rows& rows, const server_identity& server,
                              const progress* known);

} // namespace fly::repo
