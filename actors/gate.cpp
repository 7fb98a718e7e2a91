#include "fly/actors/gate.hpp"

#include <algorithm>
#include <climits>
#include <ctime>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace fly::actors {

namespace {

static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t));

/// Sleeps while `word` is `expected`, until `deadline`; null for ever. May return early.
void sleep_on(std::atomic<std::uint32_t>& word, std::uint32_t expected,
              const timespec* deadline) noexcept {
  ::syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, expected, deadline, nullptr,
            FUTEX_BITSET_MATCH_ANY);
}

void wake_all_on(std::atomic<std::uint32_t>& word) noexcept {
  ::syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

} // namespace

void gate::open() noexcept {
  if (state_.exchange(opened, std::memory_order_acq_rel) == awaited)
    wake_all_on(state_);
}

bool gate::wait_until(std::chrono::steady_clock::time_point deadline) noexcept {
  using namespace std::chrono;
  // The steady clock is CLOCK_MONOTONIC, which is what the call wants.
  auto since = std::max(deadline.time_since_epoch(), steady_clock::duration{0});
  auto whole = floor<seconds>(since);
  timespec until{};
  until.tv_sec = static_cast<time_t>(whole.count());
  until.tv_nsec = static_cast<long>(nanoseconds{since - whole}.count());
  while (!is_open()) {
    auto expected = shut;
    state_.compare_exchange_strong(expected, awaited, std::memory_order_acq_rel);
    if (expected == opened)
      return true;
    if (steady_clock::now() >= deadline)
      return is_open();
    sleep_on(state_, awaited, &until);
  }
  return true;
}

void gate::wait() noexcept {
  while (!is_open()) {
    auto expected = shut;
    state_.compare_exchange_strong(expected, awaited, std::memory_order_acq_rel);
    if (expected != opened)
      sleep_on(state_, awaited, nullptr);
  }
}

} // namespace fly::actors
