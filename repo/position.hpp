#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <caf/expected.hpp>

#include "fly/repo/lsn.hpp"
#include "fly/repo/timeline_history.hpp"

namespace fly::repo {

/// How far a database must be for a write to be seen in it. A value; `==` compares all of it, the
/// order is `compare`.
struct position {
  /// The database system identifier (pg_control_system()), never 0.
  std::uint64_t system = 0;
  /// The timeline on which the write was committed, from 1.
  std::uint32_t timeline = 0;
  /// The flush position read right after the commit: the commit record ends there or before.
  fly::repo::lsn lsn{};
  /// The full transaction id of the write (xid8), never 0; nothing where none was assigned. Where
  /// this id is visible on the same system and history the write is, whatever its LSN says.
  std::optional<std::uint64_t> xid{};

  friend bool operator==(const position&, const position&) = default;
};

/// Returns whether LSNs of `a` and `b` can be compared: one system, one timeline.
bool same_history(const position& a, const position& b) noexcept;

/// Orders by LSN; `unordered` where the histories differ. Equivalent positions may have other ids.
std::partial_ordering compare(const position& a, const position& b) noexcept;

/// Returns the position where both writes are visible; nothing where the histories differ. The
/// transaction id stays only where it is one and the same: that the later write is visible says
/// nothing of the earlier one, because commits and their LSNs need not come in one order.
std::optional<position> merge(const position& a, const position& b);

/// The same where `history` tells how the two timelines came from each other: the position on the
/// higher timeline, where that has the other one's log so far. Nothing where the lower one may be
/// lost, or nothing is known.
std::optional<position> merge(const position& a, const position& b,
                              const timeline_history& history);

/// Returns "7412345678901234567.1.16/B374D848.745": system, timeline, LSN and, where known, the
/// transaction id, in decimal but for the LSN. Stable: it is stored in cookies and crosses
/// versions.
std::string to_string(const position& where);

/// Reads what `to_string` writes, and nothing else.
/// Errors: errc::invalid_argument, naming the part that is wrong.
caf::expected<position> parse_position(std::string_view text);

} // namespace fly::repo
