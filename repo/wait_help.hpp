#pragma once

#include <chrono>
#include <memory>

#include "fly/repo/lsn_tracker.hpp"
#include "fly/repo/waiters.hpp"

namespace fly::repo {

/// Lets a thread that blocks for its wait ask the database itself, as long as nobody else waits: it
/// saves two wake-ups, the tracker's and its own. Takes the first wait that begins in its thread
/// while it exists. On the stack of that thread, the innermost counts.
class wait_help {
public:
  wait_help() noexcept;

  /// Leaves the wait to the tracker.
  ~wait_help();

  wait_help(const wait_help&) = delete;
  wait_help& operator=(const wait_help&) = delete;

  /// Asks until the wait is over, somebody else waits, too, or for some milliseconds, and not
  /// beyond `deadline`. Then the tracker goes on. Does nothing without a wait.
  void run(std::chrono::steady_clock::time_point deadline);

private:
  friend class lsn_tracker;

  /// Returns that of the calling thread; null where there is none, or it has a wait.
  static wait_help* free_one() noexcept;
  void take(std::shared_ptr<lsn_tracker::core> of, waiters::ticket who);

  wait_help* const outer_;
  std::shared_ptr<lsn_tracker::core> of_; // null without a wait
  waiters::ticket who_ = 0;
};

} // namespace fly::repo
