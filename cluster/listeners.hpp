#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "fly/actors/what_of.hpp"
#include "fly/cluster/listener.hpp"
#include "fly/cluster/log.hpp"

namespace fly::cluster {

/// Those who listen to one node. Calls are made one at a time; `remove` returns after the last call
/// into a listener has. Safe from any thread.
class listeners {
public:
  explicit listeners(log_sink log) : log_(std::move(log)) {}

  void add(std::shared_ptr<listener> who) {
    std::lock_guard guard{mutex_};
    all_.push_back(std::move(who));
  }

  void remove(const listener* who) {
    std::lock_guard guard{mutex_};
    std::erase_if(all_, [who](const auto& known) { return known.get() == who; });
  }

  /// Calls `what(listener&)` on each. What a listener throws is a mistake of its own and is logged.
  template <class Function>
  void each(Function what) {
    std::lock_guard guard{mutex_};
    for (std::size_t i = 0; i < all_.size(); ++i) { // a listener may add another one
      auto who = all_[i];
      try {
        what(*who);
      } catch (...) {
        log_(log_level::error, "a listener threw: " + actors::what_of_thrown());
      }
    }
  }

  /// Calls `what(listener&)` on each, one after the other, outside of the lock: it may block.
  template <class Function>
  void each_unlocked(Function what) {
    std::vector<std::shared_ptr<listener>> all;
    {
      std::lock_guard guard{mutex_};
      all = all_;
    }
    for (const auto& who : all) {
      try {
        what(*who);
      } catch (...) {
        log_(log_level::error, "a listener threw: " + actors::what_of_thrown());
      }
    }
  }

private:
  log_sink log_;
  std::recursive_mutex mutex_;                 // recursive: a listener may call the node
  std::vector<std::shared_ptr<listener>> all_; // guarded by mutex_
};

} // namespace fly::cluster
