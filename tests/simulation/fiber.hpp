#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <vector>

#include "tests/simulation/schedule.hpp"

namespace fly::simulation {

/// What is thrown into blocking code whose machine has crashed.
struct fiber_killed {};

class fibers;

/// A thread of a simulated machine: blocking code, which is left where it waits and taken up again
/// when its time has come. All run on the one real thread, one at a time.
class fiber : public std::enable_shared_from_this<fiber> {
public:
  fiber(fibers& all, machine& owner, std::function<void()> body);
  ~fiber();

  fiber(const fiber&) = delete;
  fiber& operator=(const fiber&) = delete;

  /// Returns the one that runs; null outside of all.
  static fiber* running() noexcept;

  /// Waits until `when`, or until `wake`. Only within this fiber. Throws fiber_killed.
  void wait_until(moment when);

  /// Ends a wait at once.
  void wake();

  machine& owner() const noexcept { return *owner_; }

  /// Returns whether its machine has crashed: it is to end.
  bool is_killed() const noexcept { return killed_; }

private:
  friend class fibers;
  struct context;

  void resume_at(moment when);
  void resume();
  void suspend();
  void run();
  static void enter(unsigned high, unsigned low);

  fibers& all_;
  machine* owner_;
  std::function<void()> body_;
  std::unique_ptr<context> context_;
  std::uint64_t turn_ = 0; // of the waits: a wake-up is for one of them
  bool waits_ = false;
  bool killed_ = false;
  bool over_ = false;
};

/// The threads of all machines.
class fibers {
public:
  explicit fibers(schedule& when) : when_(when) {}
  ~fibers();

  fibers(const fibers&) = delete;
  fibers& operator=(const fibers&) = delete;

  /// Starts a thread of `owner`, which runs `body` soon.
  void start(machine& owner, std::function<void()> body);

  /// Ends the threads of a machine where they wait.
  void kill(const machine& owner);

  std::size_t size() const noexcept { return all_.size(); }

private:
  friend class fiber;
  void forget_ended();

  schedule& when_;
  std::vector<std::unique_ptr<char[]>> stacks_; // of those that have ended
  std::list<std::shared_ptr<fiber>> all_;
};

/// Lets true time pass for the running fiber, or does nothing outside of one.
void pass(moment time);

} // namespace fly::simulation
