#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include <caf/error.hpp>

#include "fly/actors/backoff.hpp"

namespace fly::repo {

/// Says when a pool that has nothing idle opens another connection, and what its callers do where
/// that is in vain: they are refused, for a while at once, but wait where the server alone has no
/// room for it (SQLSTATE 53300) and one of the pool's own may come back. PURE: takes the time as a
/// value. Not safe to share between threads.
class opening_pace {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// What a caller does.
  enum class step : std::uint8_t {
    open,   ///< Opens one, and says `opened` or `failed`.
    wait,   ///< Waits for one that comes back, until `wait_until` at most, and asks again.
    refuse, ///< Gives up, with `reason`.
  };

  /// Time after the end of a session in which the server may still count it, and another one be
  /// refused in its place.
  static constexpr std::chrono::milliseconds leaves_within{1000};

  /// `retry` is the time after a failed attempt in which nobody tries again.
  opening_pace(actors::backoff_options retry, std::uint64_t seed) : retry_(retry, seed) {}

  /// Takes that a caller wants another one, and gives it so long, `others` being lent or opened at
  /// the moment. While the server is full one caller at a time is told to open. Who has an eighth
  /// more time than the attempts that failed had is not refused for them: they say little of a
  /// server that is slow.
  step next(time_point now, std::size_t others, std::chrono::nanoseconds patience = {});

  /// Takes that one was opened. Returns whether the server was full before: others may try, too.
  bool opened();

  /// Takes that none was opened, because no answer came for `tried`; max() for another reason.
  void failed(time_point now, caf::error reason,
              std::chrono::nanoseconds tried = std::chrono::nanoseconds::max());

  /// Takes that one of the pool's own was closed: the server has room for another.
  void closed(time_point now);

  /// Returns until when a caller waits; max() where somebody is trying.
  time_point wait_until() const noexcept { return trying_ ? time_point::max() : retry_at_; }

  /// Returns whether the server had no room at the last attempt.
  bool full() const noexcept { return full_; }

  /// Returns why the last attempt failed; empty before there was one.
  const caf::error& reason() const noexcept { return reason_; }

private:
  actors::backoff retry_;
  time_point retry_at_{};
  time_point room_until_{}; // a session of the pool's own is leaving
  caf::error reason_;
  std::chrono::nanoseconds tried_{}; // longest attempt that failed, since one was opened
  bool full_ = false;
  bool trying_ = false; // full_, and one caller finds out whether it still is
};

} // namespace fly::repo
