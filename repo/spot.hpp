#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <pqxx/result>

#include "fly/repo/position.hpp"
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

  /// Returns where all that a snapshot before the answer could hold is there: the place that was
  /// told, or a byte more, which only a server reaches that has all of the record after it.
  position where() const {
    return {seen.system, seen.timeline, lsn{seen.lsn.bytes() + (next_begun ? 1U : 0U)},
            std::nullopt};
  }
};

/// Returns the statements, for one simple query inside or behind a transaction, that ask how far
/// the server is and which of `xids` are visible. The LSN is taken before the snapshot in which the
/// timelines are seen, so that a server on timeline T with an LSN of T has told of T, too.
/// `has_timelines`: whether fly.timeline is asked, which fails where it cannot be.
std::string spot_question(std::uint64_t system, bool has_timelines,
                          const std::vector<std::uint64_t>& xids);

/// Reads the answer of `server`, of which `known` was known before: its timeline does not go back.
/// Nothing where it makes no sense.
std::optional<spot> read_spot(const pqxx::result& rows, const server_identity& server,
                              const progress* known);

} // namespace fly::repo
