#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace fly::cluster {

class mesh;

/// How other threads reach the I/O thread: they leave work and ring once; the I/O thread takes all
/// that has gathered. Safe from any thread.
class doorbell {
public:
  using task = std::function<void(mesh&)>;

  /// Sets what wakes the I/O thread; until then work just gathers.
  void connect(std::function<void()> ring) {
    {
      std::lock_guard guard{mutex_};
      ring_ = std::move(ring);
      rung_ = !tasks_.empty() || !links_.empty();
      if (!rung_)
        return;
    }
    ring_now();
  }

  /// Drops what has gathered, and all that is left from now on.
  void close() {
    std::lock_guard guard{mutex_};
    closed_ = true;
    ring_ = nullptr;
    tasks_.clear();
    links_.clear();
  }

  /// Runs `what` on the I/O thread, in the order of the calls.
  void post(task what) {
    add([&] { tasks_.push_back(std::move(what)); });
  }

  /// Says that the channel of `link` has something to send.
  void wake(std::uint64_t link) {
    add([&] { links_.push_back(link); });
  }

  /// Takes what has gathered; for the I/O thread.
  std::pair<std::vector<task>, std::vector<std::uint64_t>> take() {
    std::lock_guard guard{mutex_};
    rung_ = false;
    return {std::exchange(tasks_, {}), std::exchange(links_, {})};
  }

private:
  template <class Add>
  void add(Add what) {
    {
      std::lock_guard guard{mutex_};
      if (closed_)
        return;
      what();
      if (std::exchange(rung_, true))
        return;
    }
    ring_now();
  }

  void ring_now() {
    std::function<void()> ring;
    {
      std::lock_guard guard{mutex_};
      ring = ring_;
    }
    if (ring)
      ring();
  }

  std::mutex mutex_;
  std::function<void()> ring_;       // guarded by mutex_
  std::vector<task> tasks_;          // guarded by mutex_
  std::vector<std::uint64_t> links_; // guarded by mutex_
  bool rung_ = false;                // guarded by mutex_
  bool closed_ = false;              // guarded by mutex_
};

} // namespace fly::cluster
