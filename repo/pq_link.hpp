#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <caf/expected.hpp>

#include "fly/repo/pq_result.hpp"
#include "fly/repo/server_listener.hpp"

struct pg_conn; // libpq's PGconn

namespace fly::repo {

/// How a connection is opened.
struct link_options {
  /// A database URL as libpq reads it.
  std::string url;
  /// Shown in pg_stat_activity, unless the URL names another.
  std::string application_name = "fly";
  /// Opens it to a WAL sender, which takes replication commands beside SQL. The role must have
  /// REPLICATION.
  bool replication = false;
  /// Whether a pooler in transaction mode stands between: a new connection may be an old session,
  /// and there is no way to a WAL sender.
  bool pooled = false;
  /// Whether its transactions can only read unless they say otherwise
  /// (default_transaction_read_only).
  bool read_only = false;
};

/// One statement of a pipeline. A value.
struct link_statement {
  /// Of the statement that the session keeps, the same for the same `sql`; empty: it is not kept.
  std::string name;
  std::string sql;
  /// $1 and on, as text; nothing is NULL.
  std::vector<std::optional<std::string>> parameters{};
};

/// A connection to PostgreSQL whose every step has a deadline, on libpq's asynchronous side: a
/// server that is frozen costs the deadline and no more. For our own short queries, and the root of
/// the connections that functions get. Not safe to share between threads.
class pq_link {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// Connects. Blocks until `deadline` at most (but the resolver's time, which libpq spends
  /// inside). Errors: errc::database_unavailable with the server's or libpq's words.
  static caf::expected<pq_link> open(const link_options& options, time_point deadline);

  pq_link(pq_link&&) noexcept;
  pq_link& operator=(pq_link&&) noexcept;
  ~pq_link();

  /// Runs one simple query and returns the rows of its last statement. Blocks until `deadline` at
  /// most; after any error but errc::sql_failed the link is of no more use.
  /// Errors: errc::sql_failed as `to_error`; errc::database_unavailable.
  caf::expected<link_rows> query(const std::string& sql, time_point deadline);

  /// Sends one statement and waits for nothing; nothing else is sent before `answer` has it.
  /// Errors: errc::database_unavailable.
  caf::error start(const std::string& sql);

  /// Returns the rows of what `start` has sent, or why there are none, as `query` does; nothing
  /// where that is not there at `deadline`: then ask again. Blocks until then at most.
  std::optional<caf::expected<link_rows>> answer(time_point deadline);

  /// Takes what the statement at that place gave.
  using result_taker = std::function<void(std::size_t place, result_handle result)>;

  /// Runs statements in one round trip, each with a snapshot of its own: in one transaction, unless
  /// they say otherwise. Gives `take` the result of each that succeeded, in order; the first that
  /// fails is the last that ran. The session parses and plans a statement with a name once and
  /// keeps it, but behind a pooler, where it may be another session the next time. Blocks until
  /// `deadline` at most.
  /// Errors: errc::sql_failed as `to_error`; errc::database_unavailable, and the link is of no more
  /// use.
  caf::error exchange(std::span<const link_statement> statements, time_point deadline,
                      const result_taker& take);

  /// The same in two steps. `begin` sends and waits for nothing; nothing else is sent before
  /// `collect` has taken the answer, which blocks until `deadline` at most. Errors: as `exchange`.
  caf::error begin(std::span<const link_statement> statements);
  caf::error collect(time_point deadline, const result_taker& take);

  /// Waits until the answer to what was begun comes. Returns false where it does not by `deadline`.
  bool has_answer(time_point deadline) const;

  /// As `exchange`, for statements that give rows: returns those of each.
  caf::expected<std::vector<link_rows>> run(std::span<const link_statement> statements,
                                            time_point deadline);

  /// Returns `text` as a literal of SQL; what is not in the connection's encoding as ''.
  std::string quote(std::string_view text) const;

  /// Returns whether the connection is up, outside a transaction, and silent. Asks the socket, not
  /// the server: a session that was ended meanwhile is noticed.
  bool idle() const;

  /// Returns whether the connection is up as far as libpq knows.
  bool connected() const;

  /// Returns whether a transaction is open, aborted or not.
  bool in_transaction() const;

  /// Returns whether it is up and the server is in no transaction.
  bool outside_transaction() const;

  /// Returns whether the open transaction is aborted: the server takes its end only.
  bool in_aborted_transaction() const;

  /// Returns what the server has said.
  server_report& report() noexcept { return heard_->report(); }
  const server_report& report() const noexcept { return heard_->report(); }

  /// Returns libpq's connection, owned by this object.
  pg_conn* raw() const noexcept { return raw_.get(); }

  /// Gives libpq's connection away: `raw()` stays, but its new owner closes it, before this object
  /// ends.
  void disown() noexcept;

private:
  struct finish {
    finish() noexcept : owned(true) {}
    bool owned;
    void operator()(pg_conn* raw) const;
  };

  pq_link(pg_conn* raw, std::unique_ptr<server_listener> heard);

  /// What the next result of a pipeline is of.
  struct step {
    std::size_t place = 0;
    std::string prepares{}; // the session is to keep the statement so; then comes its own result
  };

  bool send(std::span<const link_statement> statements);
  caf::error receive(time_point deadline, const result_taker& take);
  caf::error wait_for_result(time_point deadline);

  std::unique_ptr<server_listener> heard_; // before raw_: libpq's callbacks write to it
  std::unique_ptr<pg_conn, finish> raw_;
  bool pooled_ = false;
  std::set<std::string> kept_; // statements that the session has; one for each name
  std::vector<step> steps_;    // of what was begun
};

} // namespace fly::repo
