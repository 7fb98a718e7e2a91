#pragma once

#include <chrono>
#include <memory>

struct pg_cancel; // libpq's PGcancel
struct pg_conn;   // libpq's PGconn

namespace fly::repo {

/// What it takes to cancel the statements of one session, apart from its connection. Safe from any
/// thread, and outlives the connection.
using cancel_handle = std::shared_ptr<pg_cancel>;

/// Makes the handle of a connection that is up; null where libpq has no memory.
cancel_handle cancel_handle_of(pg_conn* raw);

/// Cancels running statements (PQcancel, which blocks) on a thread of its own, that begins with the
/// first one. A server that does not answer holds that thread, and later cancels wait behind it;
/// the calls themselves end at their deadlines. Safe from any thread, never blocks.
class statement_canceller {
public:
  /// Time until a session is asked again whose user still holds it: what was asked between two of
  /// its statements has met none.
  static constexpr std::chrono::milliseconds again_after{50};

  statement_canceller();

  /// Cancels no more. Blocks while a cancel is under way, for a second at most.
  ~statement_canceller();

  statement_canceller(const statement_canceller&) = delete;
  statement_canceller& operator=(const statement_canceller&) = delete;

  /// Cancels what runs in the session, again and again until `forget`.
  void cancel(cancel_handle session);

  /// Cancels no more in the session. One last cancel may still be on its way: nobody else may use
  /// the session.
  void forget(const cancel_handle& session);

private:
  struct state;
  std::shared_ptr<state> state_; // shared with the thread
};

} // namespace fly::repo
