#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>

#include <caf/expected.hpp>

#include "fly/repo/lsn.hpp"

namespace fly::repo {

/// Where one timeline began. A value.
struct timeline_start {
  /// The timeline that it left, below its own.
  std::uint32_t parent = 0;
  /// Up to where it has the parent's log; nothing where nobody could tell.
  std::optional<lsn> left_at{};

  friend bool operator==(const timeline_start&, const timeline_start&) = default;
};

/// How the timelines of one database system came from each other: each promotion begins one. A pure
/// value.
class timeline_history {
public:
  /// What a server on one timeline has of an older one.
  struct share {
    enum class kind : std::uint8_t {
      prefix,  ///< The older one's log up to `until`.
      nothing, ///< None that is known: it has left the older one's line before, or nobody knows
               ///< where.
      unknown, ///< The way between the two is not known (yet).
    };
    kind what = kind::unknown;
    lsn until{};

    friend bool operator==(const share&, const share&) = default;
  };

  /// Adds where `timeline` began. One that is known stays as it is, but for a `left_at` that was
  /// missing. Timelines that are not above their parent are ignored.
  void add(std::uint32_t timeline, timeline_start from);

  /// Returns what a server on `newer` has of `older`, which is below it.
  share shared(std::uint32_t older, std::uint32_t newer) const;

  /// Returns the highest timeline that is known, 0 for none.
  std::uint32_t newest() const noexcept;

  /// Returns all timelines whose beginning is known.
  const std::map<std::uint32_t, timeline_start>& all() const noexcept { return starts_; }

  friend bool operator==(const timeline_history&, const timeline_history&) = default;

private:
  std::map<std::uint32_t, timeline_start> starts_;
};

/// Reads a PostgreSQL timeline history file, of `timeline`: lines of parent, tab, LSN, tab, reason;
/// each parent's end is the start of the next one's.
/// Errors: errc::database_unavailable, naming the line.
caf::expected<timeline_history> parse_history_file(std::uint32_t timeline, std::string_view text);

} // namespace fly::repo
