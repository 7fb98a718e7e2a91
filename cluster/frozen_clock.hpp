#pragma once

#include <chrono>

namespace fly::cluster {

/// A clock that stands still while this process does not run. It is fed with the real monotonic
/// time at every event, a tick among them; a gap much longer than a tick means that the process was
/// stopped, and passes as one tick. So nobody is declared silent before what they have sent
/// meanwhile could be read. A pure value.
class frozen_clock {
public:
  using time_point = std::chrono::steady_clock::time_point;
  using duration = std::chrono::steady_clock::duration;

  /// A gap longer than `gap_max` counts as `tick`.
  frozen_clock(time_point now, duration tick, duration gap_max)
      : real_(now), own_(now), tick_(tick), gap_max_(gap_max) {}

  /// Takes the real time and returns the own one, which never goes back.
  time_point advance(time_point now) {
    if (now > real_) {
      auto gap = now - real_;
      own_ += gap > gap_max_ ? tick_ : gap;
      real_ = now;
    }
    return own_;
  }

private:
  time_point real_; // the latest that was told
  time_point own_;
  duration tick_;
  duration gap_max_;
};

} // namespace fly::cluster
