#pragma once

namespace fly::actors {

/// Begins to watch the calling thread: from now on `thread_locals_alive` tells of it. Thread-locals
/// that are made later are destroyed earlier than the watch ends.
void watch_thread_locals();

/// Returns whether the thread-locals of the calling thread still live: false once those that were
/// made after `watch_thread_locals` are destroyed, which is before any static object is. True for a
/// thread that is not watched.
bool thread_locals_alive() noexcept;

} // namespace fly::actors
