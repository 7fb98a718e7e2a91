#pragma once

#include <string>
#include <utility>

namespace fly::repo {

/// Which members' databases a wait is for. A value.
struct place {
  std::string region{}; ///< Empty: all regions.

  friend bool operator==(const place&, const place&) = default;
};

/// The members of one region: `db.wait_for(position, in_region("hkg"), 2s)`.
inline place in_region(std::string region) {
  return {std::move(region)};
}

/// All members.
inline const place everywhere{};

} // namespace fly::repo
