#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <caf/error.hpp>

namespace fly::actors {

/// Bounds of a `worker_pool`.
struct worker_pool_options {
  /// Number of threads, 1 to 1,024.
  std::size_t threads = 8;
  /// Tasks that may wait for a thread; one more is refused.
  std::size_t queue_max = 1024;
  /// Name of the threads, for debuggers; at most 15 bytes are shown.
  std::string name = "fly.worker";
};

/// Runs blocking work (database calls, user functions) on its own threads, never on CAF's.
/// A full queue is an error at once: work is refused early, never late. Safe from any thread.
///
/// A task that one of the threads is about to block for (`about_to_block`) is awaited: it goes
/// before the others, and where no thread sleeps a spare one runs it, so that tasks which wait for
/// tasks make progress. Spare threads run nothing else, and rest until they are wanted again.
class worker_pool {
public:
  using task = std::function<void()>;

  /// Most spare threads, for each of `worker_pool_options::threads`.
  static constexpr std::size_t spares_each = 3;

  /// A task in the queue.
  struct entry {
    task work;                 ///< Must not throw.
    const void* who = nullptr; ///< In whose name, for `withdraw`; null for nobody's.
    bool awaited = false;      ///< Whether a thread of the pool blocks for it.
  };

  /// Starts the threads. Throws std::system_error where the process cannot have so many.
  explicit worker_pool(worker_pool_options options);

  /// Stops as `stop()` does.
  ~worker_pool();

  worker_pool(const worker_pool&) = delete;
  worker_pool& operator=(const worker_pool&) = delete;

  /// Queues `work`, which must not throw, in the name of `who`. Returns an empty error when it is
  /// taken. Errors: errc::overloaded where the queue is full, or, for an awaited one, where all
  /// spare threads are taken; errc::shutting_down after `stop()`; nothing ran.
  caf::error submit(task work, const void* who = nullptr);

  /// Queues `next` although the queue may be full: in the place of one that was withdrawn. Errors:
  /// errc::shutting_down after `stop()`.
  caf::error replace(entry next);

  /// The same at the very end of a task, in its place: its thread is free for others then.
  caf::error pass_on(entry next);

  /// Takes what was queued in the name of `who` and has not begun out of the queue. Returns whether
  /// there was something.
  bool withdraw(const void* who);

  /// Returns whether what the calling thread submits is awaited.
  bool is_awaited() const noexcept;

  /// Refuses new work, runs what is queued, and waits for the threads. Blocks; idempotent.
  /// Must not be called from a task.
  void stop();

  /// Returns the number of tasks that run or wait, a moment ago.
  std::size_t load() const;

  /// Returns the number of threads.
  std::size_t size() const noexcept { return options_.threads; }

private:
  using entries = std::deque<entry>;

  caf::error has_stopped() const;
  caf::error submit_awaited(entry what);
  caf::error add(entry next, bool is_taken_here);
  std::size_t spares_max() const noexcept { return spares_each * options_.threads; }
  bool is_idle() const noexcept { return queue_.empty() && awaited_.empty(); }
  bool wants_another();
  bool wants_spare() const noexcept { return awaited_.size() > sleeping_ + coming_; }
  bool call_spare();
  void run();
  void run_spare();
  void run_first(std::unique_lock<std::mutex>& lock, entries& from);

  const worker_pool_options options_;
  mutable std::mutex mutex_;
  std::condition_variable work_arrived_;
  std::condition_variable spare_called_;
  entries queue_;   // guarded by mutex_; size <= options_.queue_max, but for those passed on
  entries awaited_; // guarded by mutex_; with spares_running_ at most spares_max()
  std::size_t running_ = 0;  // guarded by mutex_; spare ones too
  std::size_t sleeping_ = 0; // guarded by mutex_; threads that wait for work
  bool waking_ = false;      // guarded by mutex_; one of them was notified and has not come yet
  bool stopped_ = false;     // guarded by mutex_
  std::size_t spares_running_ = 0;   // guarded by mutex_
  std::size_t resting_ = 0;          // guarded by mutex_; spare threads that nobody has called
  std::size_t called_ = 0;           // guarded by mutex_; of those that were, who still sleep
  std::size_t coming_ = 0;           // guarded by mutex_; called or started, without a task yet
  std::vector<std::thread> threads_; // grows under mutex_ until stopped_
};

} // namespace fly::actors
