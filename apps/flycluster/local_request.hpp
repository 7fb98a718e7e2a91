#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "apps/local/playground_options.hpp"

namespace fly::apps {

/// What is to be done to one part of a playground.
struct local_fault {
  /// "freeze" or "kill".
  std::string kind{};
  /// "node", "database" or "dns".
  std::string part{};
  std::string region{};
  /// How long it is frozen.
  std::chrono::milliseconds lasts{1000};
  /// A history to which the fault is added; empty for none.
  std::filesystem::path record{};
};

/// What `flycluster local` is asked to do.
struct local_request {
  /// "up", "down", "status" or "fault".
  std::string action{};
  local_fault fault{};
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
