#pragma once

#include <mutex>
#include <optional>
#include <utility>

namespace fly::cluster {

/// Keeps the newest of values that may come faster than they are taken: what is taken late is taken
/// once. Safe from any thread.
template <class T>
class newest {
public:
  /// Keeps `value` in the place of the one that waits. Returns whether none waited: then somebody
  /// must be told to take it.
  bool put(T value) {
    std::lock_guard guard{mutex_};
    bool first = !waits_;
    waits_ = std::move(value);
    return first;
  }

  /// Takes the value that waits; nothing where none does.
  std::optional<T> take() {
    std::lock_guard guard{mutex_};
    return std::exchange(waits_, std::nullopt);
  }

private:
  std::mutex mutex_;
  std::optional<T> waits_; // guarded by mutex_
};

} // namespace fly::cluster
