#pragma once

#include <chrono>
#include <cstddef>
#include <deque>

namespace fly::actors {

/// Counts restarts within a sliding time: OTP's intensity and period. A pure value.
class restart_window {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// Allows `restarts_max` restarts (0 or more) within any `within` (more than 0).
  restart_window(std::size_t restarts_max, std::chrono::milliseconds within);

  /// Counts a restart at `now` and returns whether it is still allowed.
  bool record(time_point now);

  /// Returns how many restarts of the time before `now` still count.
  std::size_t count(time_point now);

private:
  std::size_t restarts_max_;
  std::chrono::milliseconds within_;
  std::deque<time_point> restarts_; // ascending; at most restarts_max_ + 1
};

} // namespace fly::actors
