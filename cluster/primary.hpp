#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "fly/cluster/claim.hpp"
#include "fly/cluster/member.hpp"

namespace fly::cluster {

/// Who is primary, a moment ago. A value.
struct primary_state {
  /// Sorted by id; empty where nobody is.
  std::vector<member> group;
  /// Region of the group; where that is empty the last known one, else the label.
  std::string region;
  /// The system that is gone by; 0 without a database.
  std::uint64_t system = 0;
  /// The highest timeline of that system on which a writable database was ever seen; 0 for none.
  std::uint32_t timeline = 0;
  /// Whether any database has ever answered: from then on the label decides nothing.
  bool by_database = false;

  friend bool operator==(const primary_state&, const primary_state&) = default;
};

/// Decides who is primary from what the members claim: the members whose database is writable, on
/// the highest timeline ever seen, of the system that most members have (of two equally common ones
/// the smaller identifier). As long as no database has ever answered, the members of the region in
/// the label. Only members with a link, and self, can be primary. A pure value.
class primary {
public:
  explicit primary(std::string label);

  /// Takes the views of all members, self included. Returns whether the state has changed.
  bool update(std::span<const member_view> views);

  /// Returns the state; before the first update nobody is primary and the region is the label.
  const primary_state& state() const noexcept { return state_; }

private:
  std::string label_;
  primary_state state_;
};

} // namespace fly::cluster
