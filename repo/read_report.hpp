#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "fly/repo/level.hpp"
#include "fly/repo/position.hpp"

namespace fly::repo {

/// Where a read was done, and how fresh it was. A value.
struct read_report {
  /// The member whose database it was, and its region; this node or another one.
  std::string member{};
  std::string region{};
  /// The server, "10.0.0.7:5432" by its own word; "" on a Unix socket.
  std::string server{};
  /// Whether that was the primary.
  bool primary = false;
  /// What was read was there at this position at the latest. Nothing in a sandbox, and where
  /// neither a level nor a report wanted to know.
  std::optional<fly::repo::position> where{};
  /// The longest that the data can have been behind the primary; 0 of the primary. Nothing where
  /// the primary was not asked lately: `bounded` and `strong` ask it.
  std::optional<std::chrono::microseconds> lag{};
  /// The level that was obtained: the one that was wanted, or `strong` of the primary.
  fly::repo::level obtained = level::eventual;
};

} // namespace fly::repo
