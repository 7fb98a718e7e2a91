#pragma once

#include <filesystem>

#include "apps/flycluster/local_request.hpp"
#include "apps/local/playground_state.hpp"

namespace fly::apps {

/// Does or ends what `asked.fault` says to the playground in `folder`, and returns when it is over;
/// a signal meanwhile ends it early. Returns the exit code. Throws std::runtime_error where the
/// playground cannot be asked.
int run_fault(const std::filesystem::path& folder, const local_request& asked);

/// Does faults as `asked.nemesis` says, one after the other, and leaves the playground whole, also
/// after a signal. Returns the exit code; throws as `run_fault`.
int run_nemesis(const local::playground_state& state, const std::filesystem::path& folder,
                const local_request& asked);

} // namespace fly::apps
