#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "fly/cluster/claim.hpp"
#include "fly/cluster/member.hpp"
#include "fly/cluster/options.hpp"

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
  /// The server that the group has; 0 where that is not known.
  std::uint64_t server = 0;
  /// Ids of live members whose database is writable and has no business to be: of another server
  /// than the group on the same timeline (or of each of two, where neither came first). Sorted;
  /// while there are any, nobody leads.
  std::vector<std::string> conflict;
  /// Ids of live members with a writable database on a timeline that was left. Sorted.
  std::vector<std::string> zombies;
  /// The highest turn of leadership that any of the group tells of; 0/0 where none of them has a
  /// lease.
  epoch lease{};
  /// Id of the member of the group whose turn that is; of those without a lease the smallest id.
  /// Empty where nobody leads.
  std::string leader{};

  friend bool operator==(const primary_state&, const primary_state&) = default;
};

/// Returns what of the difference is worth a line in the log, and how much.
std::vector<std::pair<log_level, std::string>> changes(const primary_state& before,
                                                       const primary_state& now);

/// Decides who is primary from what the members claim: the members whose database is writable, on
/// the highest timeline ever seen, of the system that most members have (of two equally common ones
/// the smaller identifier). Of two writable servers on that timeline the one that was primary
/// before stays, and where neither was nobody is: that is not guessed. As long as no database has
/// ever answered, the members of the region in the label. Only members with a link, and self, can
/// be primary. A pure value.
class primary {
public:
  explicit primary(std::string label);

  /// Takes the views of all members, self included. Returns whether the state has changed.
  bool update(std::span<const member_view> views);

  /// Returns the state; before the first update nobody is primary and the region is the label.
  const primary_state& state() const noexcept { return state_; }

private:
  void judge(std::span<const member_view> views, primary_state& next) const;
  static void find_leader(std::span<const member_view> views, primary_state& next);

  std::string label_;
  primary_state state_;
};

} // namespace fly::cluster
