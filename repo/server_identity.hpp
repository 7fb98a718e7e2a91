#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include <caf/expected.hpp>

#include "fly/repo/lsn.hpp"
#include "fly/repo/pq_link.hpp"

namespace fly::repo {

/// Which server a connection really reached, and what it was at that moment. A value.
struct server_identity {
  /// The database system identifier: one for a primary and all its replicas. Never 0.
  std::uint64_t system = 0;
  /// Start of the postmaster, in microseconds since the epoch, by the server's clock.
  std::int64_t started_us = 0;
  /// "10.0.0.7:5432" by the server's own word; "" on a Unix socket.
  std::string address{};
  /// Whether it replays the log of another server.
  bool in_recovery = false;
  /// Whether a new transaction can only read: a replica, or default_transaction_read_only.
  bool read_only = false;
  /// The timeline of its data. Exact on a server that is not in recovery. On a replica at least
  /// that: without pg_read_all_stats the newest of two values that are written late.
  std::uint32_t timeline = 0;
  /// Flush position, on a replica the replay position.
  fly::repo::lsn lsn{};
  /// Replay delay of a replica that is behind, 0 of one that has all it received; -1 us where
  /// unknown.
  std::chrono::microseconds lag{-1};

  /// Returns whether it takes writes.
  bool writable() const noexcept { return !in_recovery && !read_only; }
};

/// Returns whether both are one start of one server: what is known of one holds for the other.
bool same_server(const server_identity& a, const server_identity& b) noexcept;

/// Asks a connection, in one round trip. Any role may ask. Where the session may be an old one of a
/// pooler (`pooled`) it reads in the catalog whether a new one could write: the session does not
/// hear of ALTER DATABASE or ROLE ... SET default_transaction_read_only.
/// Errors: as `pq_link::query`; errc::database_unavailable where the answer makes no sense.
caf::expected<server_identity> identify(pq_link& link, pq_link::time_point deadline,
                                        bool pooled = false);

/// The statement that `identify` runs, and what its rows say.
link_statement identity_statement(bool pooled = false);
caf::expected<server_identity> read_identity(const link_rows& rows);

} // namespace fly::repo
