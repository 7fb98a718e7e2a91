#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "fly/cluster/channel.hpp"
#include "fly/cluster/claim.hpp"
#include "fly/cluster/primary.hpp"

namespace fly::cluster {

/// What a node knows at one moment; never changed once it is on the board.
struct snapshot {
  /// This node and the members, sorted by region and id, without observers.
  std::vector<member_view> views{};
  primary_state primary{};
  /// The channels that are up, by member id, observers included.
  std::map<std::string, std::shared_ptr<channel>, std::less<>> channels{};
};

/// Keeps a snapshot. What it holds is reached by name only, never through a temporary: in C++20
/// `for (auto& each : board.read()->views)` would end the snapshot before the loop begins.
class kept_snapshot {
public:
  explicit kept_snapshot(std::shared_ptr<const snapshot> held) noexcept : held_(std::move(held)) {}

  const snapshot& operator*() const& noexcept { return *held_; }
  const snapshot& operator*() const&& = delete;
  const snapshot* operator->() const& noexcept { return held_.get(); }
  const snapshot* operator->() const&& = delete;

private:
  std::shared_ptr<const snapshot> held_; // never null
};

/// Where the I/O thread pins what it knows and any thread reads it.
class board {
public:
  explicit board(snapshot first) : latest_(std::make_shared<const snapshot>(std::move(first))) {}

  /// Returns the latest snapshot. Safe from any thread.
  kept_snapshot read() const {
    std::lock_guard guard{mutex_};
    return kept_snapshot{latest_};
  }

  /// Replaces the snapshot. Safe from any thread.
  void pin(snapshot next) {
    auto fresh = std::make_shared<const snapshot>(std::move(next));
    std::lock_guard guard{mutex_};
    latest_.swap(fresh); // the old one ends after the lock
  }

private:
  mutable std::mutex mutex_;
  std::shared_ptr<const snapshot> latest_; // guarded by mutex_
};

} // namespace fly::cluster
