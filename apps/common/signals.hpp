#pragma once

#include <functional>

namespace fly::apps {

/// Lets SIGINT, SIGTERM and SIGHUP wait for `wait_for_end`. Call first in main(): threads started
/// later inherit it.
void hold_end_signals();

/// Blocks until SIGINT or SIGTERM arrives and returns its number; the next one ends the process at
/// once. Calls `on_hangup` at each SIGHUP meanwhile; without it SIGHUP ends the wait, too. Call on
/// main's thread.
int wait_for_end(const std::function<void()>& on_hangup = {});

} // namespace fly::apps
