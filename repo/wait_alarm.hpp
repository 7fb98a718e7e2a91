#pragma once

#include <chrono>
#include <cstddef>
#include <memory>

#include <caf/fwd.hpp>

#include "fly/repo/lsn_tracker.hpp"

namespace fly::repo {

/// Ends waits of a tracker that nobody sits out at their deadlines, also while a question of the
/// tracker hangs. Safe from any thread.
class wait_alarm {
public:
  /// Starts nothing before the first `set`.
  explicit wait_alarm(std::shared_ptr<lsn_tracker> of);

  /// Ends as `close` does.
  ~wait_alarm();

  wait_alarm(const wait_alarm&) = delete;
  wait_alarm& operator=(const wait_alarm&) = delete;

  /// Sees to the waits that are late at `deadline`, by an actor of `system`, always the same.
  void set(caf::actor_system& system, lsn_tracker::time_point deadline);

  /// Sees to nothing any more.
  void close();

  /// Returns how often it has rung.
  std::size_t rung() const;

private:
  struct clockwork;

  std::shared_ptr<clockwork> all_; // shared with its actor
};

} // namespace fly::repo
