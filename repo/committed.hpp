#pragma once

#include <chrono>
#include <utility>

#include <caf/error.hpp>
#include <caf/unit.hpp>

#include "fly/repo/position.hpp"

namespace fly::repo {

/// Where the time of one write went.
struct write_timing {
  /// To the primary and back: finding a member, the wire, queueing there; all but the next.
  std::chrono::microseconds to_primary{0};
  /// In the transaction, from BEGIN to the answer of COMMIT, by the primary's node.
  std::chrono::microseconds in_transaction{0};
  /// From the answer until the local database had it, or the time was over.
  std::chrono::microseconds until_visible{0};
};

/// What is known of a commit beside the function's result. A value.
struct commit_report {
  position where;
  /// Whether the local database has it: it was waited for, or the write ran on this node.
  bool visible = false;
  /// Whether it is what an earlier write of the same key left, and nothing ran now.
  bool repeated = false;
  /// Why it was waited for in vain; empty where it is visible, or nobody waited.
  caf::error late;
  write_timing timing;
};

/// The result of a write that is committed for certain; it must not be repeated. `->` and `*` reach
/// what the function returned.
template <class R>
class committed {
public:
  using value_type = std::conditional_t<std::is_void_v<R>, caf::unit_t, R>;

  committed(value_type value, commit_report report)
      : value_(std::move(value)), report_(std::move(report)) {}

  value_type& operator*() noexcept { return value_; }
  const value_type& operator*() const noexcept { return value_; }
  value_type* operator->() noexcept { return &value_; }
  const value_type* operator->() const noexcept { return &value_; }

  /// Returns where the write is in the log.
  const repo::position& position() const noexcept { return report_.where; }

  /// Returns whether the local database has it, so that a read there sees it.
  bool visible() const noexcept { return report_.visible; }

  /// Returns whether it is what an earlier write of the same key left: nothing ran now.
  bool repeated() const noexcept { return report_.repeated; }

  /// Returns why it was waited for in vain: errc::not_visible, it was late; errc::foreign_position,
  /// the local database is none of the primary's; errc::may_be_lost, a promotion left it out;
  /// errc::overloaded, errc::shutting_down. Empty where it is visible, or nobody waited.
  const caf::error& late() const noexcept { return report_.late; }

  /// Returns all that is known of the commit.
  const commit_report& report() const noexcept { return report_; }

  /// Returns where the time went.
  const write_timing& timing() const noexcept { return report_.timing; }

private:
  value_type value_;
  commit_report report_;
};

} // namespace fly::repo
