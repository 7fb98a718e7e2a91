#pragma once

#include <chrono>
#include <functional>

namespace fly::apps {

/// Lets SIGINT, SIGTERM and SIGHUP wait for `wait_for_end`, or until somebody looks with
/// `is_end_asked`. Call first in main(): threads started later inherit it.
void hold_end_signals();

/// Returns whether one of them waits.
bool is_end_asked();

/// Waits until `descriptor` (-1: none) can be read from, one of the signals waits, or `longest` has
/// passed. Returns whether it can be read from.
bool wait_for_readable(int descriptor, std::chrono::milliseconds longest);

/// Blocks until SIGINT or SIGTERM arrives and returns its number; the next one ends the process at
/// once. Calls `on_hangup` at each SIGHUP meanwhile; without it SIGHUP ends the wait, too. Call on
/// main's thread.
int wait_for_end(const std::function<void()>& on_hangup = {});

} // namespace fly::apps
