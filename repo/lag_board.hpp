#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>

#include "fly/repo/position.hpp"
#include "fly/repo/waiters.hpp"

namespace fly::repo {

/// How far the primary was, and when: what a replica's lag is measured by. Times are of this node's
/// own clock: the moment before the primary was asked, so that the primary had the position then or
/// later. A pure value; not safe to share between threads.
class lag_board {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// Samples that are kept, the oldest go first, and the time between two of them: a minute and a
  /// half together.
  static constexpr std::size_t samples_max = 1024;
  static constexpr std::chrono::milliseconds spacing{100};

  /// Takes that the primary said `where` when it was asked at `asked`. Of answers that overtook
  /// each other the one that was asked later counts.
  void add(time_point asked, const position& where);

  /// Returns a position that whoever has it lacks nothing of what the primary had at `since`: the
  /// lowest that is known to do. Nothing where the primary was not asked since.
  std::optional<position> enough_for(time_point since) const;

  /// Returns when the primary was last asked; nothing where it never was.
  std::optional<time_point> asked_last() const;

  /// Returns the longest that a server that is as far as `server` can be late at `now`; nothing
  /// where that is not known.
  std::optional<std::chrono::microseconds> lag_of(const progress& server, time_point now) const;

private:
  struct sample {
    time_point asked;
    position where;
  };
  std::deque<sample> samples_; // by time, the oldest first; size <= samples_max
};

} // namespace fly::repo
