#pragma once

#include <string>
#include <vector>

namespace fly::apps {

/// Runs `flycluster cert ...`; `words` are what stands behind "cert". Returns the exit code.
int run_cert(const std::vector<std::string>& words);

} // namespace fly::apps
