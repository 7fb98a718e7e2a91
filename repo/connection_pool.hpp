#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>

#include <caf/expected.hpp>

#include "fly/actors/backoff.hpp"
#include "fly/repo/connection.hpp"

namespace fly::repo {

/// Bounds of a `connection_pool`.
struct pool_options {
  link_options link{};
  /// Connections that may be open at a time, 1 to 1,000.
  std::size_t connections_max = 8;
  /// Threads that may wait for one; one more is refused at once.
  std::size_t queue_max = 1024;
  /// Longest time to open one.
  std::chrono::milliseconds connect_timeout{3000};
  /// Whether a connection comes back with its transaction open, and is lent with it (sandbox.hpp).
  bool keeps_transactions = false;
  /// Time after a failed attempt in which nobody tries again.
  actors::backoff_options retry{.first = std::chrono::milliseconds{100},
                                .max = std::chrono::milliseconds{2000}};
};

/// What a pool holds, a moment ago.
struct pool_counts {
  std::size_t open = 0;    ///< Lent, idle, or being opened.
  std::size_t idle = 0;    ///< Ready to be lent.
  std::size_t waiting = 0; ///< Threads that wait for one.
};

/// Connections to the local database, opened when needed and kept. A broken one is closed and
/// replaced, never healed. Safe from any thread. Its own thread begins with the first connection
/// and wakes only for those that are lent for longer than agreed.
class connection_pool {
public:
  using time_point = std::chrono::steady_clock::time_point;
  struct core;

  /// A connection on loan: goes back when it is destroyed, or is closed where it cannot be used
  /// again (broken, or left inside a transaction). May outlive the pool.
  class lease {
  public:
    lease(lease&&) noexcept = default;
    lease& operator=(lease&&) = delete;
    ~lease();

    connection& operator*() const noexcept { return *held_; }
    connection* operator->() const noexcept { return held_.get(); }

    /// Returns whether it was used before, so that it may have broken since unnoticed.
    bool reused() const noexcept { return reused_; }

    /// Says that the server has answered: `answer_max` of `take` is over.
    void answered();

    /// Says that nobody should use it again.
    void spoil() noexcept { spoiled_ = true; }

    /// Says that nothing was sent on it: nobody knows whether the server still answers.
    void unused() noexcept { used_ = false; }

    /// Cancels its running statement, and those that follow, until it goes back; it must be spoiled
    /// before that. Safe from any thread while the lease exists, once; never blocks. Nothing where
    /// connections keep their transactions.
    void cancel();

  private:
    friend class connection_pool;
    lease(std::shared_ptr<core> pool, std::unique_ptr<connection> held, bool reused,
          time_point until)
        : pool_(std::move(pool)), held_(std::move(held)), reused_(reused), until_(until) {}

    std::shared_ptr<core> pool_;
    std::unique_ptr<connection> held_; // null after a move
    bool reused_;
    time_point until_; // after that its session is cut
    bool used_ = true;
    bool spoiled_ = false;
  };

  explicit connection_pool(pool_options options);

  /// Closes the idle connections; lent ones go when they come back.
  ~connection_pool();

  connection_pool(const connection_pool&) = delete;
  connection_pool& operator=(const connection_pool&) = delete;

  /// Lends a connection, until `deadline` to its user. After `grace` more, in which the server may
  /// end the statement itself, its session is cut by a thread of the pool's own, so that a frozen
  /// server keeps nobody for ever. Blocks, until `deadline` at most. Nothing ran where it fails.
  /// Where the server has no room for another one (SQLSTATE 53300) it waits as well, as long as
  /// some of its own are lent. With `answer_max` opening one takes that long at most, and the
  /// session is cut that long after it was lent, until `lease::answered`: for who has somewhere
  /// else to go. `wait_until` ends the wait earlier. Errors: errc::overloaded, all are lent and
  /// none came back in time, or `queue_max` wait already; errc::database_unavailable with the
  /// reason, also at once for a while after a failed attempt; errc::shutting_down. Throws
  /// std::system_error where no thread can be had.
  caf::expected<lease> take(time_point deadline,
                            std::chrono::milliseconds grace = std::chrono::seconds{2},
                            std::optional<std::chrono::milliseconds> answer_max = std::nullopt,
                            time_point wait_until = time_point::max());

  /// Closes the idle connections: what they knew of their server does not hold any more.
  void drop_idle();

  /// Refuses from now on, also those who wait. Idempotent.
  void close();

  pool_counts counts() const;

  /// Returns `pool_options::keeps_transactions`.
  bool keeps_transactions() const noexcept;

private:
  std::shared_ptr<core> core_;
};

} // namespace fly::repo
