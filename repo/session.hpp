#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "fly/repo/position.hpp"
#include "fly/repo/timeline_history.hpp"

namespace fly::repo {

/// What one user has written and read: the position that the next read of that user must have. Give
/// it to the calls of one request, and take its position along to the next one, on whatever node
/// (session_cookie.hpp, or `database::token`):
///
///     fly::repo::session user{*db.parse_token(text)};
///     auto mine = db.with({.session = user});
///     auto order = mine.get<shop::order>(17); // at least what the user has seen
///
/// A handle: copies are the same session. Of one database system. Safe from any thread; of two
/// calls at the same time neither is before the other.
class session {
public:
  /// A user that has seen nothing yet: the first read is as fresh as it comes.
  session();

  /// A user that has seen `seen`.
  explicit session(const fly::repo::position& seen);

  /// Returns how far the next read must be; nothing where nothing was seen.
  std::optional<fly::repo::position> position() const;

  /// Returns whether a promotion came between, and it could not be shown that the new primary has
  /// all that was seen before: the session goes on with the new one.
  bool uncertain() const;

  /// Forgets all. For a user whose position is answered by errc::may_be_lost or
  /// errc::foreign_position: no server will ever be there.
  void forget();

  // -- what the calls note
  // ---------------------------------------------------------------------------

  /// Changes whenever something is noted.
  using moment = std::uint64_t;
  moment now() const;

  /// Notes a write that began at `begun`. Where nothing was noted since, the write came after all
  /// that was seen, and its transaction id alone can stand for that, too. What a replica has shown
  /// before it the primary has yet to show (spot.hpp).
  void wrote(const fly::repo::position& where, const timeline_history& history, moment begun);

  /// Notes a read: what it saw was there at `where` at the latest. It began at `begun`; nothing:
  /// after all that was noted.
  void read(const fly::repo::position& where, const timeline_history& history,
            std::optional<moment> begun = std::nullopt);

private:
  struct state;
  std::shared_ptr<state> state_;
};

} // namespace fly::repo
