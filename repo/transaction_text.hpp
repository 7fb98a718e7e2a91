#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "fly/repo/connection.hpp"
#include "fly/repo/kept_statement.hpp"
#include "fly/repo/transaction.hpp"

namespace fly::repo {

// The statements around what a function does: those of BEGIN's round trip, and of the commit's.

/// Returns the text that begins a transaction.
std::string begin_text(connection& on, const transaction_options& options);

/// Returns the last statement before COMMIT.
kept_statement guard_of(const expected_server& wanted);

/// The places of the statement itself and of the guard in `around_one`.
inline constexpr std::size_t place_of_one = 2;
inline constexpr std::size_t place_of_guard = 3;

/// Returns a transaction of the one statement `what`, whole: BEGIN and its settings, `what`, guard,
/// COMMIT, what makes the session as it was, and the question for the position, the last.
std::vector<link_statement> around_one(const connection& on, link_statement what,
                                       const expected_server& wanted,
                                       std::chrono::steady_clock::time_point deadline,
                                       const std::string& application_name);

/// Fails where the transaction is not the one that `begin_text` began: for one that may have gone
/// back to a savepoint. A ROLLBACK AND CHAIN looks the same from here (transaction_fate.hpp).
inline constexpr auto still_marked =
    "SELECT CASE WHEN coalesce(current_setting('fly.began', true), '') <> '1' "
    "THEN current_setting('fly.was_rolled_back') END; ";

/// Fails where a transaction that began READ ONLY may write now, or has written: SET TRANSACTION
/// READ WRITE, as its first statement or in a DO or CALL, makes it so.
inline constexpr auto still_reading =
    "SELECT CASE WHEN current_setting('transaction_read_only') = 'off' OR "
    "pg_current_xact_id_if_assigned() IS NOT NULL THEN current_setting('fly.read_may_write') END; ";

/// Returns the COMMIT of a write, and what makes the session as it was but its locks; in a sandbox
/// what stands for it. `touched`: see `transaction_fate::touched_session`.
std::string end_text(const connection& on, bool sandbox, bool touched);

/// Returns the COMMIT of a read, and what makes the session as it was.
std::string end_reading_text(const connection& on, bool touched);

/// Returns statements as one text, for a simple query: with literals for their parameters, so that
/// "$1" stands for nothing else in them.
std::string joined(const std::vector<link_statement>& statements);

/// Returns a read-only transaction of the one statement `what`, whole: BEGIN and its settings,
/// `before`, `what`, COMMIT, what makes the session as it was, and `behind`.
std::vector<link_statement> around_query(const connection& on, link_statement what,
                                         const std::vector<link_statement>& before,
                                         const std::vector<link_statement>& behind,
                                         std::chrono::steady_clock::time_point deadline);

/// Returns what asks for the position behind the COMMIT, because within the transaction the commit
/// record is not yet in the log, and gives session locks back.
const kept_statement& after_commit();

/// Returns the ROLLBACK, and what gives session locks back: it takes back all that was done to the
/// session but its locks.
std::string undo_text(bool sandbox);

} // namespace fly::repo
