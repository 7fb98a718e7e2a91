#pragma once

#include <algorithm>
#include <cstdint>

namespace fly::rpc {

/// Keeps retries to a tenth of the calls, so that a member in trouble is not asked ever more often
/// by those whom it fails. Each call earns a tenth of a retry. A pure value; not safe to share
/// between threads.
class retry_budget {
public:
  /// Calls that pay for one retry.
  static constexpr std::uint32_t calls_per_retry = 10;
  /// Retries that can be saved up; an endpoint begins with `first`.
  static constexpr std::uint32_t saved_max = 100;
  static constexpr std::uint32_t first = 10;

  /// Notes a call.
  void called() noexcept { saved_ = std::min(saved_ + 1, saved_max * calls_per_retry); }

  /// Takes one retry out; false where there is none, and then nothing is to be retried.
  bool take() noexcept {
    if (saved_ < calls_per_retry)
      return false;
    saved_ -= calls_per_retry;
    return true;
  }

private:
  std::uint32_t saved_ = first * calls_per_retry; // in tenths of a retry
};

} // namespace fly::rpc
