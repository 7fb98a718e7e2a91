#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace fly::actors {

/// Opens once; lets a thread wait until it has. Cheaper than a condition variable: a gate that is
/// open when somebody comes, or that nobody waits for when it opens, costs no system call. Safe
/// from any thread; lives until `open` has returned.
class gate {
public:
  /// Opens the gate; idempotent.
  void open() noexcept;

  /// Returns whether it is open.
  bool is_open() const noexcept { return state_.load(std::memory_order_acquire) == opened; }

  /// Blocks until it is open, or `deadline` is reached. Returns whether it is open.
  bool wait_until(std::chrono::steady_clock::time_point deadline) noexcept;

  /// Blocks until it is open.
  void wait() noexcept;

private:
  static constexpr std::uint32_t shut = 0;    // and nobody waits
  static constexpr std::uint32_t awaited = 1; // shut, and somebody may sleep
  static constexpr std::uint32_t opened = 2;

  std::atomic<std::uint32_t> state_{shut};
};

} // namespace fly::actors
