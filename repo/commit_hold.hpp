#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include <caf/error.hpp>

#include "fly/repo/position.hpp"
#include "fly/repo/pq_link.hpp"

namespace fly::repo {

/// A column for the guard of a write: fails where the commits of fly are held, and keeps them from
/// being held until the transaction has ended. Takes no snapshot, needs no right and no table.
inline constexpr const char* commit_hold_column =
    "CASE WHEN pg_try_advisory_xact_lock_shared(7380407340034387044) "
    "THEN '' ELSE current_setting('fly.writes_are_held') END";

/// Returns whether the server has said that commits are held.
bool says_held(const server_error& what);

/// Returns the error of a write that was refused because writes are held: errc::not_primary.
caf::error held_error();

/// Returns whether `reason` is `held_error`.
bool is_held(const caf::error& reason);

/// Holds every commit of fly back, of any node, in the database itself: an exclusive advisory lock
/// that commits share (docs/decisions/013). Of several that ask one has it, and the others wait for
/// it in the server's queue, in which no commit overtakes them: with the end of the first there is
/// no gap. It ends with the session, which the server ends soon after `until` at the latest. Safe
/// from any thread.
class commit_hold {
public:
  using clock = std::chrono::steady_clock;

  /// What came of asking. A value.
  struct answer {
    bool held = false;    ///< It is this one's.
    bool waits = false;   ///< It is another's, and this one's next.
    bool kept = false;    ///< Either is so without a break since it was asked before.
    position where{};     ///< How far the log was when it came to be held; all commits are before.
    std::string reason{}; ///< Why it is neither held nor waited for, for people.
  };

  commit_hold(link_options link, std::chrono::milliseconds connect_timeout)
      : link_options_(std::move(link)), connect_timeout_(connect_timeout) {}

  /// Asks for it until then, or for more of it, on a server that is writable on `timeline` (0: on
  /// any). Blocks: for the connect timeout and a fifth of a second at most, and not beyond `until`.
  answer ask(std::uint32_t timeline, clock::time_point until);

  /// Lets commits go on. Blocks while an `ask` is under way.
  void end();

  /// Ends what has run out by `now`. Blocks as `end` does.
  void expire(clock::time_point now);

private:
  caf::error begin(std::uint32_t timeline, clock::time_point until);
  bool prolong(clock::time_point until);
  bool look();
  clock::time_point answer_by(clock::time_point until) const;

  const link_options link_options_;
  const std::chrono::milliseconds connect_timeout_;

  std::mutex mutex_;
  std::optional<pq_link> link_; // guarded by mutex_; in the transaction that has or wants the lock
  bool held_ = false;           // guarded by mutex_
  std::uint32_t asked_on_ = 0;  // guarded by mutex_; the timeline that was asked for
  position where_{};            // guarded by mutex_; of what is held
  clock::time_point until_{};   // guarded by mutex_
};

} // namespace fly::repo
