#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <caf/error.hpp>
#include <caf/expected.hpp>

#include "fly/repo/connection.hpp"
#include "fly/repo/parameter.hpp"
#include "fly/repo/position.hpp"
#include "fly/repo/pq_link.hpp"
#include "fly/repo/result.hpp"
#include "fly/repo/transaction.hpp"

namespace fly::repo {

struct checked_read;

/// A write of one statement: INSERT, UPDATE or DELETE, which alone cannot end its transaction.
/// Refers to its parts.
struct one_statement {
  const std::string& sql;
  const std::vector<parameter>& parameters;
  /// Whether it is one of few texts, worth being kept parsed and planned; such a one is of one row.
  bool repeats = false;
};

/// What it gave, and where it is committed.
struct one_outcome {
  result rows;
  position where;
};

/// How the transaction around it is run.
struct one_options {
  std::chrono::steady_clock::time_point deadline; ///< Bounds each statement.
  std::string application_name{};                 ///< As `transaction_options` has it.
  expected_server wanted{};
};

/// Runs `what` in a transaction of its own, in one round trip: BEGIN, the statement, the guard of a
/// commit and COMMIT (transaction.hpp), the position. Not behind a pooler, and outside of
/// transactions. Where something of it is not as it should be, the session is not used again.
/// Blocks, until the session is cut at the latest.
/// Errors: nothing remains, as `transaction::finish` and of the statement as `to_write_error`;
/// errc::database_unavailable, as `not_started`, where the server has ended the session before the
/// commit. errc::outcome_unknown: it may be committed.
caf::expected<one_outcome> write_one(connection& on, const one_statement& what,
                                     const one_options& options);

/// A read of one statement, which looks at nothing but rows. Refers to its parts.
struct one_query {
  const std::string& sql;
  const std::vector<parameter>& parameters;
  bool repeats = false; ///< As of `one_statement`.
  /// Takes what it gave, when the transaction is over; may throw.
  std::function<caf::error(const pg_result& rows)> take;
};

/// Returns whether `sql` begins as a statement that gives rows: SELECT, WITH, VALUES or TABLE.
/// Alone in its message it cannot end a read-only transaction, nor make it one that may write.
bool gives_rows(std::string_view sql) noexcept;

/// Runs `what` in a read-only transaction of its own, in one round trip, with the questions of
/// `check` (null for none) before it, where they are needed, and behind its end. Not behind a
/// pooler, and outside of transactions. Blocks, until the session is cut at the latest.
/// Errors: that of `check->before`, whatever became of the statement; that of `check->after`;
/// errc::sql_failed; errc::database_unavailable.
caf::expected<result_handle> read_one(connection& on, const one_query& what,
                                      std::chrono::steady_clock::time_point deadline,
                                      const checked_read* check);

/// Returns whether it failed only because it was kept: its tables have changed, or somebody has
/// dropped what the session keeps. Nothing remains, and it can be run in another way.
bool was_kept_in_vain(const caf::error& reason);

} // namespace fly::repo
