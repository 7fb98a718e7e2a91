#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fly/actors/backoff.hpp"
#include "fly/actors/child_spec.hpp"
#include "fly/actors/restart_window.hpp"

namespace fly::actors {

/// Which siblings are restarted along with a child that has ended.
enum class strategy : std::uint8_t {
  one_for_one,  ///< None.
  one_for_all,  ///< All.
  rest_for_one, ///< Those that were started after it.
};

/// How a supervisor restarts its children.
struct supervisor_options {
  fly::actors::strategy strategy = fly::actors::strategy::one_for_one;
  /// More restarts than this within `restarts_within`, and the supervisor gives up: it stops its
  /// children and ends itself, abnormally, which its own parent then answers.
  std::size_t restarts_max = 3;
  std::chrono::milliseconds restarts_within{5000}; // 1 ms to a year, brought inside
  /// Delay before a restart while another restart is younger than `restarts_within`; the first one
  /// is immediate.
  backoff_options delay{.first = std::chrono::milliseconds{20},
                        .max = std::chrono::milliseconds{2000}};
};

/// Decides what a supervisor does next: OTP's supervision as a value, without actors or a clock.
/// The shell tells it what happened and runs the commands that `next` returns, until there is none.
class restart_plan {
public:
  using time_point = std::chrono::steady_clock::time_point;

  enum class state : std::uint8_t { down, starting, running, stopping, killing };

  struct child {
    std::string id;
    fly::actors::restart restart = fly::actors::restart::permanent;
    std::chrono::milliseconds shutdown{5000};
    restart_plan::state state = restart_plan::state::down;
    bool wanted = true;    // to be started once it is down
    bool stop = false;     // to be stopped
    time_point start_at{}; // not started before
    time_point deadline{}; // of the current stage while stopping or killing
    std::size_t restarts = 0;
  };

  struct command {
    enum class kind : std::uint8_t {
      start,   ///< Start it; answer with `started` or `start_failed`.
      stop,    ///< Ask it to end; `ended` follows, or a `kill` after its shutdown time.
      kill,    ///< End it unconditionally; `ended` follows, or an `abandon`.
      abandon, ///< It did not even answer a kill: forget its handle. A handler of it hangs.
    };
    kind what;
    std::string id;
    bool operator==(const command&) const = default;
  };

  /// Time between a kill and giving the child up.
  static constexpr std::chrono::milliseconds kill_grace{2000};

  restart_plan(supervisor_options options, std::uint64_t seed);

  /// Adds a child behind the others, to be started. Returns false where the id is taken.
  bool add(const child_spec& spec);

  // -- what happened
  // ---------------------------------------------------------------------------------
  void started(const std::string& id);
  void start_failed(const std::string& id, time_point now);
  void ended(const std::string& id, bool abnormal, time_point now);

  // -- what is asked for
  // -----------------------------------------------------------------------------
  /// Stops a child and keeps its specification (a temporary one is forgotten). False where unknown.
  bool stop(const std::string& id);
  /// Starts a stopped child again. False where unknown or not down.
  bool start(const std::string& id);
  /// Forgets a child that is down. False where unknown or not down.
  bool remove(const std::string& id);
  /// Stops all children, last started first, and starts none again.
  void end();

  // -- what to do
  // ------------------------------------------------------------------------------------
  /// Returns the next command due at `now`, if any. Stops go in reverse order, one at a time;
  /// starts go in order, and, except under one_for_one, only when nothing is left to be stopped.
  std::optional<command> next(time_point now);
  /// Returns when `next` should be asked again without an event; empty where only an event can
  /// change anything.
  std::optional<time_point> wake_at() const;
  /// Returns whether the restarts exceeded their limit; `end()` was then applied.
  bool gave_up() const noexcept { return gave_up_; }
  /// Returns whether `end()` was called and every child is down.
  bool finished() const;
  /// Returns whether `end()` was called: no child is started any more.
  bool ending() const noexcept { return ending_; }

  /// Returns whether the child is still part of the plan.
  bool knows(const std::string& id) const;
  /// In the order of their start.
  const std::vector<child>& children() const noexcept { return children_; }

private:
  child* find(const std::string& id);
  void fail(child& failed, time_point now);
  void settle(std::size_t index);
  std::optional<command> next_stop(time_point now, bool& busy);
  std::optional<command> next_start(time_point now);

  supervisor_options options_;
  restart_window window_;
  backoff delay_;
  std::vector<child> children_;
  bool ending_ = false;
  bool gave_up_ = false;
};

} // namespace fly::actors
