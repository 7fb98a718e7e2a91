#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include <caf/actor.hpp>
#include <caf/expected.hpp>

#include "fly/repo/ask_pace.hpp"
#include "fly/repo/driver_seat.hpp"
#include "fly/repo/lsn_tracker.hpp"
#include "fly/repo/role_board.hpp"
#include "fly/repo/sighting.hpp"

namespace fly::repo {

/// The waits of a tracker, and when to ask next. Outlives the actor that drives it. Safe from any
/// thread, but for `round`.
struct lsn_tracker::core {
  using completion = actors::completion<caf::unit_t>;

  /// What the driver does after a `round`.
  enum class next : std::uint8_t {
    again, ///< The next round, at once.
    sleep, ///< Nothing, until it is woken or `wake_at()` is reached.
    end,   ///< End: another one drives.
  };

  core(tracker_options given, std::shared_ptr<role_board> board);

  /// As `lsn_tracker::wait_for`; the ticket of the wait, none where it is over.
  std::optional<waiters::ticket> add(const position& where, time_point deadline, completion done);

  /// Completes one wait; false where another has done so already.
  bool end(waiters::ticket who, caf::expected<caf::unit_t> outcome);

  /// Refuses from now on and ends all waits.
  void close();

  /// Drives for a moment, while somebody waits or a question is due. Only by the driver.
  next round(std::uint64_t me, replay_watcher& watcher);

  /// Returns when a driver that sleeps has something to do; never, where nothing, once closed.
  std::optional<time_point> wake_at() const;

  /// Makes `driver` the one that is woken, and lets the one before see that it drives no more.
  void driven_by(caf::actor driver, std::uint64_t me);

  /// Takes that the driver `me` has ended.
  void left(std::uint64_t me);

  const tracker_options options;
  const std::shared_ptr<role_board> roles;
  const std::shared_ptr<driver_seat> seat = std::make_shared<driver_seat>();

  mutable std::mutex mutex;
  std::optional<sighting> last; // guarded by mutex
  waiters waiting;              // guarded by mutex

private:
  struct caller {
    completion done;
    time_point since;
  };

  void expire(std::unique_lock<std::mutex>& lock, time_point now);
  void ask(std::unique_lock<std::mutex>& lock, replay_watcher& watcher);
  void took(std::unique_lock<std::mutex>& lock, const replay_watcher::look& seen, time_point asked);
  time_point next_look() const;
  time_point next_question() const;
  void wake(std::unique_lock<std::mutex>& lock);

  std::condition_variable changed_;
  std::map<waiters::ticket, caller> callers_; // guarded by mutex; one for each wait
  ask_pace pace_;                             // guarded by mutex
  time_point look_at_{};                      // guarded by mutex; for the role
  time_point down_until_{};                   // guarded by mutex; no question before
  actors::backoff retry_;                     // guarded by mutex
  caf::actor driver_;                         // guarded by mutex; null while nobody drives
  std::uint64_t driven_by_ = 0;               // guarded by mutex; the seat's number of driver_
  bool asleep_ = false;                       // guarded by mutex; the driver
  bool closed_ = false;                       // guarded by mutex
};

} // namespace fly::repo
