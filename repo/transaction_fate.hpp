#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <caf/error.hpp>

namespace fly::repo {

/// How a function ended the transaction that it was given.
struct own_end {
  /// The statement that did it: "COMMIT", "ROLLBACK", "PREPARE TRANSACTION", or one of the first
  /// two with " AND CHAIN".
  std::string by;
  /// Whether something was committed; what came before a COMMIT is.
  bool committed = false;
  /// Whether statements ran outside of any transaction after it: they may be committed, too.
  bool went_on = false;
  /// Whether it was a ROLLBACK right behind an error, which is then the news.
  bool after_error = false;
};

/// Returns whether anything of the transaction, or of what came after it, may have stayed.
bool leaves_something(const own_end& what);

/// Turns it into what the caller hears: errc::function_failed, where the detail "committed" is
/// "yes" if something was; errc::outcome_unknown where that is not known. The detail "ended_by"
/// names the statement.
caf::error error_of_end(const own_end& what);

/// What became of an open transaction, as the server tells it: by the command tag of each
/// statement that succeeded, and by its warnings where none was open (25P01) or one was (25001).
/// No SQL is read. PURE. Not safe to share between threads.
class transaction_fate {
public:
  /// Starts over with a transaction that is open; `in_savepoint` where it is one itself.
  void begin(bool in_savepoint);

  /// Takes a warning, which comes before the tag of its statement.
  void warned(std::string_view sqlstate);

  /// Takes that a statement failed.
  void failed() noexcept { failed_ = true; }

  /// Takes that a statement succeeded.
  void succeeded(std::string_view tag);

  /// Returns how the function ended it; nothing where it did not, as far as is known. `open`:
  /// whether a transaction is open now; nothing where the connection does not tell any more.
  std::optional<own_end> ended(std::optional<bool> open) const;

  /// Returns whether only the server knows if the open transaction is still that one: a ROLLBACK
  /// may have gone to a savepoint, or have been one AND CHAIN.
  bool doubtful() const noexcept { return ended_by_.empty() && doubtful_; }

  /// Returns whether a statement ran that does more than read and write rows: the tag says so. What
  /// a database function does is not seen.
  bool touched_session() const noexcept { return touched_session_; }

private:
  void ends(std::string_view tag, bool after_error);
  void was_outside();

  std::string warning_;    // of the statement that runs
  bool failed_ = false;    // the last statement
  bool savepoints_ = true; // there may be some
  bool doubtful_ = false;
  std::string ended_by_; // empty as long as it is not certain
  bool committed_ = false;
  bool after_error_ = false;
  bool begun_ = false; // another one, by BEGIN
  bool touched_session_ = false;
  bool ran_ = false;     // something, since the last end
  bool went_on_ = false; // something, outside of any transaction
};

} // namespace fly::repo
