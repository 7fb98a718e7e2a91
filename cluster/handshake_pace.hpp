#pragma once

#include <chrono>

namespace fly::cluster {

/// Keeps what handshakes with strangers cost within a share of a thread's time, so that members do
/// not wait for them: after a step that took a while there is none for three times as long. A pure
/// value.
class handshake_pace {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// Of the thread's time, at most.
  static constexpr int share_percent = 25;

  /// Returns when the next step may be taken; the past where it may be at once.
  time_point free_at() const noexcept { return free_at_; }

  /// Takes that a step, begun at `now`, has used `work` of the thread's time.
  void spent(time_point now, std::chrono::nanoseconds work) {
    free_at_ = now + work * 100 / share_percent;
  }

private:
  time_point free_at_{};
};

} // namespace fly::cluster
