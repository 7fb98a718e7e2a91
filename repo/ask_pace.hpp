#pragma once

#include <chrono>

namespace fly::repo {

/// Bounds of an `ask_pace`.
struct ask_pace_options {
  /// Time from an answer to the next question while somebody waits: at first, and at most.
  std::chrono::microseconds gap_first{20};
  std::chrono::microseconds gap_max{5000};
};

/// Says when the local database is asked next, while somebody waits. The first question leaves when
/// the waits before make it likely that the answer is "yes": a question that comes too early takes
/// the time of the replay that it asks for. From then on the questions are tight and back off, so
/// that who waits for long is answered late by a ninth of it. PURE: takes the time as a value. Not
/// safe to share between threads.
class ask_pace {
public:
  using time_point = std::chrono::steady_clock::time_point;

  explicit ask_pace(ask_pace_options options) : options_(options), gap_(options.gap_first) {}

  /// Takes that a wait begins; `alone` where nobody waited before.
  void came(time_point now, bool alone);

  /// Takes that a question leaves.
  void asked(time_point now);

  /// Takes that the question which left last has ended a wait that began at `since`.
  void ended(time_point since);

  /// Takes that the question which left last was answered, after all that it has `ended`.
  void answered(time_point now, bool ended_some);

  /// Returns when the next question is due.
  time_point due() const noexcept { return due_; }

  /// Returns how long after its begin a wait is first asked for, 0 to `gap_max`.
  std::chrono::nanoseconds guess() const noexcept { return guess_; }

private:
  ask_pace_options options_;
  std::chrono::nanoseconds guess_{0};
  std::chrono::nanoseconds gap_; // gap_first to gap_max
  time_point asked_{};
  time_point asked_before_{};
  time_point due_{};
};

} // namespace fly::repo
