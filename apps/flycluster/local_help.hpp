#pragma once

#include <string>

namespace fly::apps {

/// Returns what `flycluster local --help` says, or `flycluster local ACTION --help` where `action`
/// has a text of its own.
const char* local_help(const std::string& action);

} // namespace fly::apps
