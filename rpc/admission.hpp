#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include <caf/error.hpp>

namespace fly::actors {
class worker_pool;
}

namespace fly::rpc {

/// Stands in the details of an errc::overloaded: the time, in ms, after which asking again makes
/// sense. A guess.
inline constexpr const char* retry_after_detail = "retry_after_ms";
/// What an endpoint says whose queue is full.
inline constexpr std::chrono::milliseconds retry_after_default{20};
/// The longest time that is said, and believed.
inline constexpr std::chrono::milliseconds retry_after_max{5000};

/// Counts the calls of one function: how many run, how many wait, and how long one takes. A pure
/// value; takes the time.
class admission {
public:
  enum class verdict : std::uint8_t { run, wait, refuse };

  /// Lets `running_max` run at a time, at least 1, and `queue_max` wait, 0 for none.
  admission(std::size_t running_max, std::size_t queue_max) noexcept;

  /// Says what becomes of a call that has come, and counts it.
  verdict arrive() noexcept;

  /// Says that one has ended, which ran for `took`, nothing where it was dropped; returns whether
  /// one that waits is to run, which then counts as running.
  bool leave(std::optional<std::chrono::microseconds> took) noexcept;

  /// Says that one that waited waits no more.
  void abandon() noexcept { --waiting_; }

  /// Returns when a place is likely to be free: 1 ms to `retry_after_max`.
  std::chrono::milliseconds retry_after() const noexcept;

  std::size_t running() const noexcept { return running_; }
  std::size_t waiting() const noexcept { return waiting_; }

private:
  std::size_t running_max_;
  std::size_t queue_max_;
  std::size_t running_ = 0;            // <= running_max_
  std::size_t waiting_ = 0;            // <= queue_max_; 0 while running_ < running_max_
  std::chrono::microseconds usual_{0}; // moving average of what one takes
};

/// Lets the calls of one function onto a pool of workers, as `admission` says. Safe from any
/// thread.
class function_gate : public std::enable_shared_from_this<function_gate> {
public:
  /// One call: exactly one of the two is called, once, unless it is withdrawn.
  struct entrant {
    /// Returns whether it ran; how long others take is not guessed from those that did not.
    std::function<bool()> run;
    std::function<void(caf::error)> refuse;
    /// For `withdraw`.
    const void* who = nullptr;
    /// Whether a worker blocks for it; `enter` sets it.
    bool awaited = false;
  };

  function_gate(std::size_t running_max, std::size_t queue_max) noexcept
      : counts_(running_max, queue_max) {}

  /// Runs the call on a worker, now or after others of the function; or refuses it, at once:
  /// errc::overloaded, with `retry_after_detail`, or what the pool says.
  void enter(actors::worker_pool& workers, entrant who);

  /// Takes a call out that has not begun, and gives its place to others. Returns whether there was
  /// one.
  bool withdraw(actors::worker_pool& workers, const void* who);

private:
  using entrant_ptr = std::shared_ptr<const entrant>;

  std::function<void()> task_of(actors::worker_pool& workers, entrant_ptr who);
  void run(actors::worker_pool& workers, const entrant& who);
  void leave(actors::worker_pool& workers, std::optional<std::chrono::microseconds> took,
             bool at_end);

  std::mutex mutex_;
  admission counts_;                // guarded by mutex_
  std::deque<entrant_ptr> waiting_; // guarded by mutex_; as many as counts_.waiting()
};

/// Makes the error of a call that found no place.
caf::error no_place(const std::string& why, std::chrono::milliseconds retry_after);

/// Returns what an errc::overloaded says of when to ask again; `retry_after_default` for nothing.
std::chrono::milliseconds retry_after_of(const caf::error& reason);

} // namespace fly::rpc
