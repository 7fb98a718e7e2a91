#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "apps/local/playground_options.hpp"

namespace fly::apps {

/// What `flycluster local` is asked to do.
struct local_request {
  /// "up", "down" or "status".
  std::string action{};
  local::playground_options what{};
  /// Whether --name or --dir was given; without, `what.folder` is that of the default name.
  bool is_named = false;
  bool detach = false;
  bool json = false;
};

/// Reads `words`, what stands behind "local", into `asked`. Returns the exit code where the program
/// is to end: after help, printed to standard output, or a mistake, named on standard error.
std::optional<int> parse_local(std::vector<std::string> words, local_request& asked);

} // namespace fly::apps
