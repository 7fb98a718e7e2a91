#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "fly/cluster/member.hpp"

namespace fly::cluster {

/// A turn of leadership, ordered by timeline and then by counter: an old primary that is cut off
/// and the replica that was promoted both count on, and never give out the same one. 0/0 is none. A
/// value.
struct epoch {
  /// The timeline of the database when the turn began, from 1.
  std::uint32_t timeline = 0;
  /// Goes up by one each time the lease is taken.
  std::uint64_t counter = 0;

  friend auto operator<=>(const epoch&, const epoch&) = default;
};

/// Returns "2/17": timeline and counter.
std::string to_string(const epoch& which);

/// What a node says of its database; travels with each heartbeat. A value.
struct claim {
  enum class role : std::uint8_t {
    none = 0,        ///< No database is attached.
    unknown = 1,     ///< Attached, no answer yet.
    unreachable = 2, ///< Does not answer; `reason` says why.
    replica = 3,     ///< In recovery, or read-only.
    primary = 4,     ///< Writable.
  };

  enum role role = role::none;
  /// The database system identifier; 0 where unknown.
  std::uint64_t system = 0;
  /// The timeline of its data, from 1; 0 where unknown.
  std::uint32_t timeline = 0;
  /// Flush position of a primary, replay position of a replica, in bytes.
  std::uint64_t lsn = 0;
  /// Replay delay of a replica; -1 us where unknown.
  std::chrono::microseconds lag{-1};
  /// Which start of which server: two of one timeline that are writable are a conflict. 0 where
  /// unknown.
  std::uint64_t server = 0;
  /// Why it is unreachable, or what does not work with it, for people.
  std::string reason{};
  /// The latest turn of leadership that this node has read in its database; counter 0 before the
  /// first answer. 0/0 where there is no lease: a replica, or fly's tables are missing.
  epoch lease{};
  /// Whether that turn is this node's.
  bool leads = false;

  friend bool operator==(const claim&, const claim&) = default;
};

/// Returns the role's name, "replica".
std::string_view to_string(enum claim::role role) noexcept;

/// Returns whether `a` and `b` differ in what decides where work goes (role, system, timeline,
/// server, reason, lease), not only in how far the data is.
bool differs_in_kind(const claim& a, const claim& b) noexcept;

/// What a node knows of a member's life.
enum class presence : std::uint8_t {
  self,    ///< This node.
  alive,   ///< Linked and heard of lately.
  suspect, ///< Silent for half of `silence_max`, or its link is lost: gone soon, unless it comes
           ///< back.
};

/// Returns the presence's name, "alive".
std::string_view to_string(presence state) noexcept;

/// All that a node knows of one member, a moment ago. A value.
struct member_view {
  member who{};
  presence state = presence::alive;
  claim database{};
  /// Calls that run or wait there, by its own word.
  std::uint32_t load = 0;
  /// When it was first seen, by this node's clock; stays over a lost and regained link.
  std::chrono::system_clock::time_point since{};
  /// Of the last heartbeat there and back; 0 where not measured yet.
  std::chrono::microseconds round_trip{0};
  /// Opaque announcement of the rpc floor.
  std::string services{};
  /// Whether a connection to it is up; false for self.
  bool linked = false;
};

} // namespace fly::cluster
