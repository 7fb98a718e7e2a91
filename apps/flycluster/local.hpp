#pragma once

#include <string>
#include <vector>

namespace fly::apps {

/// Runs `flycluster local ...`; `words` are what stands behind "local". Call before any thread
/// starts: it forks. Returns the exit code.
int run_local(std::vector<std::string> words);

} // namespace fly::apps
