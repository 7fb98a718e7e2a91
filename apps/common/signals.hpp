#pragma once

namespace fly::apps {

/// Lets SIGINT and SIGTERM wait for `wait_for_end`. Call first in main(): threads started later
/// inherit it.
void hold_end_signals();

/// Blocks until SIGINT or SIGTERM arrives and returns its number; the next one ends the process at
/// once. Call on main's thread.
int wait_for_end();

} // namespace fly::apps
