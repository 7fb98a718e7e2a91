#pragma once

#include <string>
#include <vector>

namespace fly::apps {

/// Runs `flycluster check ...`; `words` are what stands behind "check". Returns the exit code.
int run_check(const std::vector<std::string>& words);

} // namespace fly::apps
