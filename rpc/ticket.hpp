#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>

namespace fly::rpc {

struct call_context;
class cancel_watch;

/// Decides, once, whether a queued call begins or is dropped, and tells one that runs that nobody
/// waits for its answer any more. Safe from any thread.
class ticket {
public:
  ticket() = default;

  /// `on_drop` is called within the `cancel` that drops the call, by whoever cancels.
  explicit ticket(std::function<void()> on_drop) : on_drop_(std::move(on_drop)) {}

  /// Returns whether the call may begin.
  bool begin() noexcept { return change(state::queued, state::begun); }

  /// Says that nobody waits for the answer. Returns whether the call will certainly never begin.
  /// One that runs learns of it: its watches are called before this returns. Idempotent.
  bool cancel();

  /// Returns whether it was cancelled, in the queue or while it ran.
  bool cancelled() const noexcept {
    auto now = state_.load(std::memory_order_acquire);
    return now == state::dropped || now == state::cancelled;
  }

private:
  friend class cancel_watch;

  enum class state : std::uint8_t { queued, begun, dropped, cancelled };
  bool change(state from, state to) noexcept { return state_.compare_exchange_strong(from, to); }

  const std::function<void()> on_drop_;
  std::atomic<state> state_{state::queued};
  std::mutex mutex_;
  cancel_watch* first_ = nullptr; // guarded by mutex_; those who watch, each with the next
};

/// Calls a function once the running call of a context is cancelled, as long as the watch lives:
/// on whatever thread cancels, or at once in the constructor where that was before. The function
/// must not block, and must not end a watch of the same call. The destructor waits for it.
class cancel_watch {
public:
  /// Watches the call of `context`, which outlives this; null, or one of a call that cannot be
  /// cancelled, for nothing to watch.
  cancel_watch(const call_context* context, std::function<void()> on_cancel);
  ~cancel_watch();

  cancel_watch(const cancel_watch&) = delete;
  cancel_watch& operator=(const cancel_watch&) = delete;

private:
  friend class ticket;

  ticket* of_; // null where nothing is watched
  std::function<void()> on_cancel_;
  cancel_watch* next_ = nullptr; // guarded by the ticket's mutex_
};

} // namespace fly::rpc
