#pragma once

#include <span>
#include <string>
#include <vector>

namespace fly::fuzz {

/// A parser and what must be true of it whatever it gets: no crash, no undefined behaviour, an
/// error of the documented code, and what was read is written back as it was read. Ends the process
/// (std::abort) where that does not hold.
struct target {
  const char* name;
  void (*run)(std::span<const char> input);
  /// Inputs to begin with, most of them well-formed.
  std::vector<std::string> seeds;
};

/// Returns all targets.
const std::vector<target>& targets();

/// Returns the target of that name, null where there is none.
const target* find(const std::string& name);

} // namespace fly::fuzz
