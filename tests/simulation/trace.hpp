#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/simulation/virtual_time.hpp"

namespace fly::simulation {

/// What has happened, a line each: its hash always, the lines where they are wanted, the last ones
/// otherwise.
class trace {
public:
  /// Lines that are kept where not all are wanted.
  static constexpr std::size_t last_max = 60;

  explicit trace(bool keep_all) : keep_all_(keep_all) {}

  /// Adds a line: the time, `who`, `text`.
  void add(std::string_view who, std::string_view text);

  /// Returns the hash of all lines.
  std::uint64_t hash() const noexcept { return hash_; }

  /// Returns the lines that are kept, oldest first.
  std::vector<std::string> lines() const;

private:
  bool keep_all_;
  std::uint64_t hash_ = 14695981039346656037U; // FNV-1a
  std::vector<std::string> lines_;
  std::size_t next_ = 0; // the oldest of lines_, where they go round
};

} // namespace fly::simulation
