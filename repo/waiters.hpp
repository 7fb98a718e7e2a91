#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "fly/repo/position.hpp"
#include "fly/repo/timeline_history.hpp"

namespace fly::repo {

/// How far one server is, as one query saw it. A value.
struct progress {
  /// The database system identifier, never 0.
  std::uint64_t system = 0;
  /// The timeline of its data. Of a replica at least that: PostgreSQL tells ordinary roles late.
  std::uint32_t timeline = 0;
  /// Replay position of a replica, flush position of a server that is not in recovery.
  fly::repo::lsn lsn{};
  /// Whether it replays another server's log: one that does not stays on its timeline for good.
  bool in_recovery = true;
  /// How the timelines up to its own came from each other.
  timeline_history history{};
  /// Which of the transaction ids that were asked for are visible, in any order.
  std::vector<std::uint64_t> visible_xids{};

  friend bool operator==(const progress&, const progress&) = default;
};

/// What a server that is as far as `progress` says of one position.
enum class verdict : std::uint8_t {
  visible, ///< The write is there.
  wait,    ///< It may come.
  foreign, ///< It never will: another database system, or an old primary that was left behind.
  lost,    ///< It may be lost: its timeline was left before it, or nobody knows where.
};

/// Judges one position. On the same timeline it is visible where the LSN is reached, or the
/// transaction id is among the visible ones (the LSN may stand inside another session's record).
/// On a higher timeline the LSN alone counts, where the history says that the server has that part
/// of the position's timeline: a transaction id may have been given anew.
verdict judge(const position& where, const progress& server);

/// Who waits for which position, and until when; told how far the server is, says who is done.
/// PURE: takes progress and time as values. Not safe to share between threads.
class waiters {
public:
  using ticket = std::uint64_t;
  using time_point = std::chrono::steady_clock::time_point;

  /// One wait that is over: `what` is never verdict::wait.
  struct outcome {
    ticket who;
    verdict what;
    friend bool operator==(const outcome&, const outcome&) = default;
  };

  /// Holds at most `waiters_max` at a time.
  explicit waiters(std::size_t waiters_max) : waiters_max_(waiters_max) {}

  /// Adds a wait. Returns its ticket, never used again; nothing where the bound is reached.
  std::optional<ticket> add(const position& where, time_point deadline);

  /// Ends a wait. Returns false where it was over already.
  bool cancel(ticket who);

  /// Takes what one query saw. Returns the waits that it ends, and forgets them.
  std::vector<outcome> advance(const progress& server);

  /// Returns the waits whose deadline is at or before `now`, and forgets them.
  std::vector<ticket> expire(time_point now);

  /// Returns the next deadline; nothing while nobody waits.
  std::optional<time_point> next_deadline() const;

  /// Returns the waited-for transaction ids, smallest first, each once, at most `xids_max`: the
  /// oldest commits are the first to become visible.
  std::vector<std::uint64_t> xids(std::size_t xids_max) const;

  /// Returns whether somebody waits for a timeline above `timeline`.
  bool any_above(std::uint32_t timeline) const;

  std::size_t size() const noexcept { return waits_.size(); }
  bool empty() const noexcept { return waits_.empty(); }

private:
  using history = std::pair<std::uint64_t, std::uint32_t>; // system, timeline
  using lsn_index = std::multimap<fly::repo::lsn, ticket>;
  using deadline_index = std::multimap<time_point, ticket>;
  using xid_index = std::multimap<std::uint64_t, ticket>;

  struct wait {
    position where;
    // Where it stands in the indexes; the last one only where it has an id. With 10,000 waits of
    // one position a search in each would take longer than all else of a wake.
    lsn_index::iterator by_lsn;
    deadline_index::iterator by_deadline;
    xid_index::iterator by_xid;
  };
  using wait_map = std::unordered_map<ticket, wait>;

  void forget(wait_map::iterator it);

  std::size_t waiters_max_;
  ticket last_ = 0;
  wait_map waits_; // size <= waiters_max_
  // Indexes of waits_, of equal keys the oldest first: each wait stands once in the first two, and
  // in the third where it has an id.
  std::map<history, lsn_index> by_lsn_; // none is empty
  deadline_index by_deadline_;
  xid_index by_xid_;
};

} // namespace fly::repo
