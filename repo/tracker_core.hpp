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

  /// A wait that has begun.
  struct added {
    waiters::ticket who;
    bool left; ///< Nobody asks for it before its thread calls `help`, or somebody else waits, too.
  };

  /// As `lsn_tracker::wait_for`; nothing where the wait is over. It may be left to a thread that
  /// `helps` where nobody else waits.
  std::optional<added> add(const position& where, time_point deadline, completion done,
                           bool helps = false);

  /// Asks for a wait that was left to the calling thread, as long as nobody else waits, and until
  /// `until` at the latest; then the driver goes on. Does nothing where that has begun already.
  void help(waiters::ticket who, time_point until);

  /// Completes one wait; false where another has done so already.
  bool end(waiters::ticket who, caf::expected<caf::unit_t> outcome);

  /// Completes those that are late at `now`, with `lock` open meanwhile.
  void expire(std::unique_lock<std::mutex>& lock, time_point now);

  /// Refuses from now on and ends all waits.
  void close();

  /// Drives for a moment, while somebody waits or a question is due. Only by the driver.
  next round(std::uint64_t me);

  /// Returns when a driver that sleeps has something to do; never, where nothing, once closed, and
  /// while somebody asks for himself, who wakes it.
  std::optional<time_point> wake_at();

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

  /// The connection of one driver, which a thread that asks for its own wait borrows.
  struct watch {
    replay_watcher watcher;
    bool lent = false;   // to a thread that asks for itself
    bool missed = false; // the driver had something to do meanwhile
  };

  void ask(std::unique_lock<std::mutex>& lock, watch& on);
  bool ask_alone(std::unique_lock<std::mutex>& lock, watch& on, time_point until);
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
  std::shared_ptr<watch> watch_;              // guarded by mutex; of driver_
  time_point crowded_until_{};                // guarded by mutex; no wait is left to its thread
  bool asleep_ = false;                       // guarded by mutex; the driver
  bool left_ = false;                         // guarded by mutex; the only wait is its thread's
  bool closed_ = false;                       // guarded by mutex
};

} // namespace fly::repo
