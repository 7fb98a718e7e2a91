#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

namespace fly::rpc {

/// Decides whether a member is left alone for a while, by how its last calls ended: one that leaves
/// several of them in a row without an answer, or says that it is full. It is asked all the same
/// where there is nobody else. Takes the time. Safe from any thread; races between answers cost a
/// count, and no more.
class health {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// Calls in a row without an answer after which it is left alone.
  static constexpr std::uint32_t failures_max = 3;
  /// For how long: first, doubled with each further failure, and at most.
  static constexpr std::chrono::milliseconds first_rest{1000};
  static constexpr std::chrono::milliseconds rest_max{30'000};

  /// Notes any answer, also an error that the function gave.
  void answered() noexcept {
    if (failures_.load(std::memory_order_relaxed) != 0)
      failures_.store(0, std::memory_order_relaxed);
  }

  /// Notes a call that got no answer.
  void failed(time_point now) noexcept {
    auto count = failures_.fetch_add(1, std::memory_order_relaxed) + 1;
    if (count < failures_max)
      return;
    auto doublings = std::min(count - failures_max, 5U);
    leave_until(now + std::min(first_rest * (1U << doublings), rest_max));
  }

  /// Notes that it is full, and asks not to be asked for `time`, `rest_max` at most.
  void full(time_point now, std::chrono::milliseconds time) noexcept {
    leave_until(now + std::clamp<std::chrono::milliseconds>(time, time.zero(), rest_max));
  }

  /// Returns whether it is to be left alone.
  bool rests(time_point now) const noexcept {
    return rests_until_.load(std::memory_order_relaxed) > now;
  }

private:
  void leave_until(time_point until) noexcept {
    auto before = rests_until_.load(std::memory_order_relaxed);
    while (before < until &&
           !rests_until_.compare_exchange_weak(before, until, std::memory_order_relaxed))
      continue;
  }

  std::atomic<std::uint32_t> failures_{0}; // since the last answer
  std::atomic<time_point> rests_until_{time_point::min()};
};

/// What an endpoint knows of one member from its own calls.
struct member_load {
  /// Calls that are under way there.
  std::atomic<std::uint32_t> calls{0};
  rpc::health health;
};

} // namespace fly::rpc
