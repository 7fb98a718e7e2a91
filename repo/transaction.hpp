#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <caf/error.hpp>
#include <caf/expected.hpp>

#include "fly/repo/connection.hpp"
#include "fly/repo/position.hpp"
#include "fly/repo/pqxx_compat.hpp"

namespace fly::repo {

/// On which server a write may be committed. A value.
struct expected_server {
  std::uint32_t timeline_min = 0; ///< One whose timeline is lower is an old primary.
  std::int64_t started_us = 0;    ///< `server_identity::started_us`; 0: any.
};

/// How a transaction is run.
struct transaction_options {
  /// Bounds each statement (statement_timeout): what is left until then, at least 1 ms.
  std::optional<std::chrono::steady_clock::time_point> deadline{};
  /// Refuses to write (BEGIN READ ONLY); has no position.
  bool read_only = false;
  /// A statement that rides with BEGIN, in its round trip.
  std::optional<kept_statement> with_begin{};
  /// Statements that ride with the BEGIN and behind the COMMIT of one that reads only, which is
  /// READ COMMITTED then; empty for none.
  std::string question{};
  /// What pg_stat_activity shows meanwhile; empty: the connection's own name.
  std::string application_name{};
  /// Whether BEGIN fails where commits are held; the commit does in any case.
  bool asks_hold = false;
  /// Makes it a savepoint of the connection's own transaction, which nobody commits (sandbox.hpp).
  bool sandbox = false;
};

/// A transaction that says where in the log it was committed. Functions get it as
/// pqxx::transaction_base&. One that is destroyed before `finish` is rolled back; nothing of it
/// stays on the connection. Not safe to share between threads.
class transaction final : public compat::base_transaction {
public:
  /// Begins, in one round trip. `on` outlives it. Throws what libpqxx throws.
  explicit transaction(connection& on, transaction_options options = {});

  /// What the last statement that rode with BEGIN, and the `question` behind COMMIT, gave.
  using compat::base_transaction::begun;
  const pqxx::result& ended() const noexcept { return ended_; }

  /// Lets `statement` ride with the commit, in its round trip: before the guard, after those that
  /// were given before. An error of it is one of the commit.
  void before_commit(std::string_view statement);
  void before_commit(const kept_statement& statement);

  /// Lets the commit fail on any other server.
  void expect(const expected_server& wanted) noexcept { wanted_ = wanted; }

  /// What the connection's server was when it was opened.
  const server_identity& server() const noexcept { return on_.identity(); }

  /// Commits and returns the position, in one round trip: a guard that fails in an aborted
  /// transaction, COMMIT, and the flush position read after it. A `synchronous_commit` of off is
  /// raised to local, also where the function has set it: otherwise the position would be before
  /// the commit. Call once. A function that committed by itself gets the position of that.
  /// Errors: errc::outcome_unknown, it may be committed (the connection broke, or an error came
  /// after the COMMIT; detail "committed" is "yes" where the server had confirmed it). Otherwise
  /// nothing remains: errc::sql_failed where the server refused the commit (deferred constraints,
  /// serialization), or where the function swallowed the error of a statement, with that error's
  /// details; errc::not_primary on a server that cannot write, that is not the one that
  /// was meant, or where commits are held (commit_hold.hpp); errc::database_unavailable where
  /// the connection was gone before; errc::invalid_argument where the function left a COPY. Where
  /// the function ended the transaction itself: errc::function_failed, with the detail "committed"
  /// where that did so, or errc::outcome_unknown; the detail "ended_by" names the statement, and
  /// where anything may remain the connection is not used again.
  caf::expected<position> finish();

  /// Ends a read-only transaction. Errors: as `finish`, and never unknown.
  caf::error finish_reading();

  /// Returns what the caller of a function is to hear that has failed with `reason`: that, or,
  /// where the function had ended the transaction itself and something may remain, how it did.
  /// Errors: as `finish` for a function that ended its transaction.
  caf::error account_for(caf::error reason) const;

  /// Puts `sql`, a plain one, in the place of the statement after COMMIT, which must give the same
  /// columns.
  void test_replace_position_query(std::string sql) { position_query_ = std::move(sql); }

private:
  void do_commit() override;
  void check_statement() const override;
  caf::error left_copy() const;
  std::optional<own_end> own_end_of() const;
  void commit_reading();
  caf::error error_of_commit() const;
  caf::error swallowed_error() const;
  caf::error run_commit();
  void roll_back() noexcept;

  connection& on_;
  bool read_only_;
  bool sandbox_;
  std::string question_; // behind the COMMIT
  pqxx::result ended_;
  std::string before_commit_; // each statement with its ";"
  std::string position_query_;
  expected_server wanted_;
  bool commit_sent_ = false;
  std::optional<position> position_; // set by a successful commit
  caf::error failure_;               // of the commit, once it was sent
};

/// Whether the refusal to write (SQLSTATE 25006) in `reason` is of the function that ran on `on`,
/// which has made its transaction read-only or has heard it from elsewhere: the next transaction of
/// the session can write. A pooler's next session says nothing of the last: false. One round trip
/// and a rollback, outside of any transaction.
bool only_its_own(connection& on, const caf::error& reason,
                  std::chrono::steady_clock::time_point deadline);

} // namespace fly::repo
