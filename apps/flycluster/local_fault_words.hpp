#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "apps/local/fault.hpp"

namespace fly::apps {

/// What `flycluster local fault` is asked to do: begin a fault, or end some.
struct fault_request {
  std::optional<local::fault> begin{};
  std::optional<local::fault_choice> end{};
  /// How long a fault lasts; nothing: until it is ended by another command.
  std::optional<std::chrono::milliseconds> lasts{};
  /// A history to which it is added; empty for none.
  std::filesystem::path record{};
};

/// Reads the words behind "fault", and `one_way` as the flag has it, into `asked`, whose `lasts` is
/// set already. Returns what is wrong, "" where nothing is.
std::string parse_fault(const std::vector<std::string>& words, const std::string& one_way,
                        fault_request& asked);

} // namespace fly::apps
