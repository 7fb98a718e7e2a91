#pragma once

namespace fly::actors {

/// Begins to watch the calling thread: from now on `thread_locals_alive` tells of it. Thread-locals
/// that are made later are destroyed earlier than the watch ends.
void watch_thread_locals();

/// Returns whether the thread-locals of the calling thread still live: false once those that were
/// made after `watch_thread_locals` are destroyed, which is before any static object is. True for a
/// thread that is not watched.
bool thread_locals_alive() noexcept;

/// Around what makes an actor system or spawns on one, on any thread. CAF 0.17 leaves its logger in
/// a thread-local of that thread, and a system that is destroyed waits for ever for a thread that
/// has it still, unless that is the one which destroys it. Takes it back, where it was not there
/// before.
class borrowed_logger {
public:
  borrowed_logger() noexcept;
  ~borrowed_logger();

  borrowed_logger(const borrowed_logger&) = delete;
  borrowed_logger& operator=(const borrowed_logger&) = delete;

private:
  bool is_new_;
};

} // namespace fly::actors
