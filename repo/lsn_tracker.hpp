#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include <caf/expected.hpp>
#include <caf/unit.hpp>

#include "fly/actors/backoff.hpp"
#include "fly/actors/child_spec.hpp"
#include "fly/actors/pending.hpp"
#include "fly/repo/ask_pace.hpp"
#include "fly/repo/position.hpp"
#include "fly/repo/replay_watcher.hpp"
#include "fly/repo/sighting.hpp"
#include "fly/repo/waiters.hpp"

namespace fly::repo {

class role_board;

/// Bounds and intervals of an `lsn_tracker`.
struct tracker_options {
  replay_watcher_options watcher{};
  /// Waits that may be under way; one more is refused.
  std::size_t waiters_max = 100'000;
  /// Transaction ids asked for in one query.
  std::size_t xids_max = 128;
  /// When it asks while somebody waits.
  ask_pace_options pace{};
  /// Time between two looks at the server's role, whoever waits.
  std::chrono::milliseconds role_interval{1000};
  /// Time between two attempts to reach a database that is down.
  actors::backoff_options retry{.first = std::chrono::milliseconds{50},
                                .max = std::chrono::milliseconds{250}};
};

/// Answers when the local database is as far as a position: one poller for all who wait, on a
/// connection of its own. Asks fast while somebody waits, and once a second for the role otherwise,
/// but where a fresh look of another has just told of it.
/// Waits are kept beside the actor that drives them, so that one that was killed and started again
/// loses no caller. Safe from any thread.
class lsn_tracker {
public:
  using time_point = std::chrono::steady_clock::time_point;
  struct core;

  /// Writes down what it sees of the server's role on `roles`. Asks nothing before an actor of
  /// `child()` runs.
  lsn_tracker(tracker_options options, std::shared_ptr<role_board> roles);

  /// Ends as `close` does.
  ~lsn_tracker();

  lsn_tracker(const lsn_tracker&) = delete;
  lsn_tracker& operator=(const lsn_tracker&) = delete;

  /// Waits until `where` is visible. `done` is called exactly once, on any thread, also before this
  /// returns; it must not block. What is returned ends the wait early, as the deadline does.
  /// Errors, to `done`: errc::not_visible at the deadline; errc::foreign_position, another database
  /// system; errc::overloaded above `waiters_max`; errc::shutting_down.
  actors::expire wait_for(const position& where, time_point deadline,
                          actors::completion<caf::unit_t> done);

  /// Returns how far the server was seen to be last; nothing while it is unknown or down.
  std::optional<progress> current() const;

  /// Returns which server that was: what is known to be visible is visible there.
  std::optional<server_identity> server() const;

  /// Returns both, and since when it is known.
  std::optional<sighting> sighted() const;

  /// Takes what another connection was told, whose question left at `asked`.
  void saw(const server_identity& server, const progress& seen, time_point asked);

  /// Ends the waits that are late at `now`, whatever its actor does meanwhile. Returns the next
  /// deadline; nothing while nobody waits.
  std::optional<time_point> end_late(time_point now);

  /// Returns how many wait.
  std::size_t waiting() const;

  /// Refuses from now on, ends all waits with errc::shutting_down and lets the actor end.
  void close();

  /// Returns the actor that drives the waits, id "tracker", a detached one. The one that was
  /// started last drives, those before it end.
  actors::child_spec child() const;

  /// Returns the actor that drives while no other one does.
  actors::child_spec standby() const;

private:
  std::shared_ptr<core> core_; // shared with the actor
};

} // namespace fly::repo
