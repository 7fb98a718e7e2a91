#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/simulation/virtual_time.hpp"

namespace fly::simulation {

struct machine;

/// What happens next, in the order of true time; what is due at the same moment happens in the
/// order in which it was asked for. Only on one thread.
class schedule {
public:
  using task = std::function<void()>;

  /// Runs `what` at `when`, not before now. Where `owner` is given it runs with that machine's
  /// clock, waits while the machine is frozen, and is dropped once it has crashed.
  void at(moment when, machine* owner, task what);

  /// The same after `delay` of true time.
  void after(moment delay, machine* owner, task what) { at(now() + delay, owner, std::move(what)); }

  /// Runs the next task, unless that is due after `until`: then the time is `until`. Returns
  /// whether one ran.
  bool step(moment until);

  /// Lets a frozen machine go on: what was due meanwhile happens now, in order.
  void thaw(machine& who);

  /// Returns the machine whose task runs; null outside of one.
  machine* running() const noexcept { return running_; }

  /// Returns the machine whose task ran last; null where it was nobody's.
  machine* last() const noexcept { return last_; }

  std::size_t size() const noexcept { return heap_.size(); }

  /// Sums up the processor time of the tasks of `who` from now on.
  void watch(const machine* who) noexcept {
    watched_ = who;
    watched_seconds_ = 0;
  }
  double watched_seconds() const noexcept { return watched_seconds_; }

private:
  struct entry {
    moment when;
    std::uint64_t number;
    machine* owner;
    std::uint64_t life;
    task what;
  };
  friend struct machine;
  static bool is_later(const entry& a, const entry& b) noexcept;
  void push(entry what);

  std::vector<entry> heap_;
  std::uint64_t last_number_ = 0;
  machine* running_ = nullptr;
  machine* last_ = nullptr;
  const machine* watched_ = nullptr;
  double watched_seconds_ = 0;
};

/// One machine: its name, its clocks, and whether it runs.
struct machine {
  std::size_t index = 0;
  std::string id{};
  std::string region{};
  std::string address{};
  machine_clock clock{};
  /// Whether it stands still: nothing runs, what comes in waits.
  bool frozen = false;
  /// Whether it has power: one without answers nothing, not even a refusal.
  bool powered = true;
  /// When it last went on after standing still, or began.
  moment disturbed{0};
  /// Goes up when it crashes: what was begun before is gone.
  std::uint64_t life = 1;
  std::vector<schedule::entry> deferred{};
};

} // namespace fly::simulation
