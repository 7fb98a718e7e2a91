#pragma once

#include "apps/flycluster/local_request.hpp"
#include "apps/local/playground_state.hpp"

namespace fly::apps {

/// Does `asked.fault` to a part of the playground, and returns when it is over. A signal meanwhile
/// ends it early. Returns the exit code.
int run_fault(const local::playground_state& state, const local_request& asked);

} // namespace fly::apps
