#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "apps/local/fault.hpp"
#include "fly/testing/history.hpp"

namespace fly::apps {

/// Tells what was done to a playground: to a person, as text or as lines of a history, and in a
/// file, as lines of a history. Not thread-safe. A resource.
class fault_log {
public:
  /// Adds to `record`, unless that is empty. Throws std::runtime_error where it cannot be written.
  fault_log(const std::filesystem::path& record, bool as_json);

  /// Tells what has come of what was asked for at `since`.
  void tell(const local::fault_result& what, testing::moment since);

private:
  void note(testing::event what);

  std::ofstream file_;
  bool as_json_;
};

/// Returns what was done as a sentence's words, "the node of lax is frozen"; and what has ended.
std::string text_of_begin(const local::fault& what);
std::string text_of_end(const local::fault& what);

} // namespace fly::apps
