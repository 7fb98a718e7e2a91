#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

namespace fly::repo {

/// What a read on the primary waits for that must see what a replica has shown: PostgreSQL writes a
/// commit into the log, from where replicas take it, before the transaction ends on the primary and
/// can be seen there. Of those that ran when it was first asked each may be on that way; those that
/// begin later are not, because what was shown lies before. One that takes longer than a commit has
/// not come so far. PURE: takes the time as a value.
class ending_commits {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// Longest that is waited for. A commit that waits for a synchronous replica may take longer.
  static constexpr std::chrono::milliseconds longest{100};

  /// Takes the ids of those that run now. Returns whether to look again before the read.
  bool look(const std::vector<std::uint64_t>& running, time_point now) {
    if (!since_) {
      since_ = now;
      left_ = running;
    }
    std::erase_if(left_, [&](auto xid) {
      return std::find(running.begin(), running.end(), xid) == running.end();
    });
    return !left_.empty() && now < *since_ + longest;
  }

private:
  std::optional<time_point> since_;
  std::vector<std::uint64_t> left_; // of those that ran at since_
};

} // namespace fly::repo
