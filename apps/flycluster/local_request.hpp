#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "apps/flycluster/local_fault_words.hpp"
#include "apps/local/playground_options.hpp"

namespace fly::apps {

/// What `flycluster local nemesis` is asked to do.
struct nemesis_request {
  /// It begins no fault after this time.
  std::chrono::seconds lasts{30};
  /// Nothing: any.
  std::optional<std::uint64_t> seed{};
  /// The kinds of faults; empty for all.
  std::vector<std::string> only{};
  /// A history to which the faults are added; empty for none.
  std::filesystem::path record{};
};

/// What `flycluster local` is asked to do.
struct local_request {
  /// "up", "down", "status", "fault" or "nemesis".
  std::string action{};
  fault_request fault{};
  nemesis_request nemesis{};
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
