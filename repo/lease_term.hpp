#pragma once

#include <chrono>
#include <optional>

#include "fly/cluster/claim.hpp"

namespace fly::repo {

/// When the lease of the leader is asked for next, and until when it may be relied on. It runs by
/// the database's clock there and by a monotonic clock here; they agree on nothing but how fast
/// time passes. So the time counts from before the question was sent, and ends an eighth early:
/// the holder has stepped down before the database gives the lease to another. PURE: takes events
/// with the time in them. Not safe to share between threads.
class lease_term {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// A lease of `lasts`, 500 ms to 60 s; the first question is due at once.
  explicit lease_term(std::chrono::milliseconds lasts) noexcept : lasts_(lasts) {}

  /// Takes that the database gave or renewed the lease, answering a question sent at `sent`.
  void granted(const cluster::epoch& turn, time_point sent) noexcept;

  /// Takes that another holds it, for `left` by the database's clock.
  void refused(std::chrono::milliseconds left, time_point now) noexcept;

  /// Takes that the question had no answer. What is held stays so until its time is over.
  void failed(time_point now) noexcept;

  /// Takes that there is no lease to ask for. Steps down; asks again after a whole lease.
  void missing(time_point now) noexcept;

  /// Steps down at once.
  void drop() noexcept { turn_.reset(); }

  /// Makes a question due at once: the lease may be free.
  void hurry() noexcept { due_ = {}; }

  /// Returns the turn that is held at `now`; nothing once its time is over.
  std::optional<cluster::epoch> held(time_point now) const noexcept;

  /// Returns when the next question is due.
  time_point due() const noexcept { return due_; }

  /// Returns until when a question that is sent at `now` is waited for: a third of the lease, and
  /// not beyond the end of what is held.
  time_point answer_by(time_point now) const noexcept;

  std::chrono::milliseconds lasts() const noexcept { return lasts_; }

private:
  std::chrono::milliseconds lasts_;
  std::optional<cluster::epoch> turn_;
  time_point until_{}; // of turn_
  time_point due_{};
};

} // namespace fly::repo
