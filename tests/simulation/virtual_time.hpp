#pragma once

#include <chrono>
#include <cstdint>

namespace fly::simulation {

/// True time, since the simulation began.
using moment = std::chrono::nanoseconds;

/// The two clocks of one machine. The monotonic one runs at a rate of its own; the wall clock
/// follows it, and is stepped. A value.
class machine_clock {
public:
  using steady = std::chrono::steady_clock::time_point;
  using wall = std::chrono::system_clock::time_point;

  /// Returns what the monotonic clock shows at `now`.
  steady steady_at(moment now) const noexcept;

  /// Returns what the wall clock shows at `now`.
  wall wall_at(moment now) const noexcept;

  /// Returns when the monotonic clock shows `when`, by the present rate; never before `now`.
  moment when(steady shown, moment now) const noexcept;

  /// Lets the monotonic clock run faster (slower) by so many parts of a million from `now` on.
  void drift(std::int64_t parts_per_million, moment now) noexcept;

  /// Steps the wall clock forth or back.
  void step(std::chrono::nanoseconds by) noexcept { offset_ += by; }

private:
  moment anchor_{0}; // since when the rate holds
  std::chrono::nanoseconds shown_{0};
  std::int64_t parts_per_million_ = 0;
  std::chrono::nanoseconds offset_{0};
};

/// Returns the true time.
moment now() noexcept;

/// Sets the true time.
void set_now(moment when) noexcept;

/// Makes `clock` the one that std::chrono's clocks show while it lives; those nest. Null for the
/// true time.
///
/// The simulation program defines steady_clock::now, system_clock::now and random_device itself,
/// and so in the whole process nothing reads the machine's clock or its source of randomness.
class clock_scope {
public:
  explicit clock_scope(const machine_clock* clock) noexcept;
  ~clock_scope();

  clock_scope(const clock_scope&) = delete;
  clock_scope& operator=(const clock_scope&) = delete;

private:
  const machine_clock* before_;
};

/// Sets what std::random_device gives from now on.
void seed_random_device(std::uint64_t seed) noexcept;

/// Returns seconds by the machine's own clock, for the figures at the end.
double real_seconds() noexcept;

/// Returns the seconds of processor time that this process has taken.
double processor_seconds() noexcept;

} // namespace fly::simulation
