#include "fly/repo/transaction_text.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>

#include "fly/repo/commit_hold.hpp"
#include "fly/repo/parameter.hpp"
#include "fly/repo/server_error.hpp"
#include "fly/repo/sql_text.hpp"

namespace fly::repo {

namespace {

// The guard. It fails in an aborted transaction (25P02), where commits are held, on a server in
// recovery (55000, by pg_current_wal_flush_lsn), where the server's timeline was left ($1), and
// where it is not the one with that start ($2, unless that is NULL); it raises synchronous_commit,
// and tells the transaction id, which the server's report keeps (transaction_id_column). Texts and
// times are compared, because numbers would have to be made of them: a tenth of its time.
const std::string guard_text =
    std::string{"SELECT pg_current_xact_id_if_assigned() AS fly_xid, "
                "CASE current_setting('synchronous_commit') WHEN 'off' "
                "THEN set_config('synchronous_commit', 'local', true) END, "} +
    commit_hold_column +
    R"(, CASE WHEN pg_walfile_name(pg_current_wal_flush_lsn()) COLLATE "C" < $1
THEN current_setting('fly.timeline_was_left')
WHEN pg_postmaster_start_time() <> $2 THEN current_setting('fly.server_is_another') END)";

/// The timeline as the name of a file of the log begins with it.
std::string timeline_text(std::uint32_t timeline) {
  char text[16];
  std::snprintf(text, sizeof text, "%08X", static_cast<unsigned>(timeline));
  return text;
}

/// Of a start that others tell of: one that the server's type does not hold is that of nobody.
parameter start_text(std::int64_t started_us) {
  if (started_us == 0)
    return std::nullopt;
  auto since = std::chrono::microseconds{started_us};
  bool sane = since.count() > 0 && since < std::chrono::hours{24 * 365 * 8000};
  return sane ? sql::write_time(sql::microseconds{since}) : "-infinity";
}

/// What is left until `deadline` in the unit of statement_timeout, of a day at most.
std::int64_t timeout_until(std::chrono::steady_clock::time_point deadline) {
  auto left =
      std::chrono::floor<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  return std::clamp<std::int64_t>(left.count(), 1, 86'400'000);
}

// The end of a write in a sandbox: what COMMIT would check is checked now, and stays deferred.
constexpr auto end_in_sandbox = R"(SAVEPOINT fly_check; SET CONSTRAINTS ALL IMMEDIATE;
ROLLBACK TO SAVEPOINT fly_check; RELEASE SAVEPOINT fly_check; RELEASE SAVEPOINT fly; )";
constexpr auto undo_in_sandbox = "ROLLBACK TO SAVEPOINT fly; RELEASE SAVEPOINT fly";

// What a statement leaves whose tag tells of it.
constexpr auto end_of_others = "CLOSE ALL; UNLISTEN *; ";
const std::string unlock = std::string{"SELECT pg_advisory_unlock_all() AS "} + unlock_column;

// What the transaction is known by, see still_marked.
constexpr auto mark = "SET LOCAL fly.began = 1";

/// Adds COMMIT, and what makes settings and role of the session as they were.
void end_one(std::vector<link_statement>& to, const connection& on) {
  to.push_back({"fly_one_commit", "COMMIT"});
  const auto& reset = on.reset_statements();
  for (std::size_t i = 0; i < reset.size(); ++i)
    to.push_back({"fly_one_reset_" + std::to_string(i), reset[i]});
}

} // namespace

kept_statement guard_of(const expected_server& wanted) {
  auto start = start_text(wanted.started_us);
  return {"fly_guard",
          "text, timestamptz",
          guard_text,
          {"'" + timeline_text(wanted.timeline_min) + "'", start ? "'" + *start + "'" : "NULL"}};
}

std::vector<link_statement> around_one(const connection& on, link_statement what,
                                       const expected_server& wanted,
                                       std::chrono::steady_clock::time_point deadline,
                                       const std::string& application_name) {
  std::vector<link_statement> result;
  result.push_back({"fly_one_begin", "BEGIN"});
  // The name that it has, where there is none to set.
  result.push_back({"fly_one_settings",
                    "SELECT set_config('statement_timeout', $1, true), set_config("
                    "'application_name', coalesce($2, current_setting('application_name')), true)",
                    {std::to_string(timeout_until(deadline)),
                     application_name.empty() ? parameter{} : parameter{application_name}}});
  result.push_back(std::move(what));
  result.push_back({"fly_one_guard",
                    guard_text,
                    {timeline_text(wanted.timeline_min), start_text(wanted.started_us)}});
  end_one(result, on);
  result.push_back({"fly_one_discard", "DISCARD TEMP"});
  result.push_back({"fly_one_position", std::string{after_commit().sql}});
  return result;
}

std::string joined(const std::vector<link_statement>& statements) {
  std::string result;
  for (const auto& it : statements) {
    auto text = it.sql;
    for (auto number = it.parameters.size(); number > 0; --number) { // $12 before $1
      auto value = it.parameters[number - 1];
      auto name = "$" + std::to_string(number);
      auto shown = value ? literal(*value) : "NULL";
      for (auto at = text.rfind(name); at != std::string::npos;
           at = at == 0 ? std::string::npos : text.rfind(name, at - 1))
        text.replace(at, name.size(), shown);
    }
    result += (result.empty() ? "" : "; ") + text;
  }
  return result;
}

std::vector<link_statement> around_query(const connection& on, link_statement what,
                                         const std::vector<link_statement>& before,
                                         const std::vector<link_statement>& behind,
                                         std::chrono::steady_clock::time_point deadline) {
  std::vector<link_statement> result;
  if (behind.empty())
    result.push_back({"fly_query_begin", "BEGIN READ ONLY"});
  else // what the server is asked before must be before the snapshot of what is read
    result.push_back({"fly_query_begin_asked", "BEGIN READ ONLY ISOLATION LEVEL READ COMMITTED"});
  result.push_back({"fly_query_settings",
                    "SELECT set_config('statement_timeout', $1, true)",
                    {std::to_string(timeout_until(deadline))}});
  result.insert(result.end(), before.begin(), before.end());
  result.push_back(std::move(what));
  end_one(result, on);
  result.push_back({"fly_one_unlock", unlock});
  result.insert(result.end(), behind.begin(), behind.end());
  return result;
}

std::string begin_text(connection& on, const transaction_options& options) {
  std::string result = options.read_only ? "BEGIN READ ONLY" : "BEGIN";
  // What the server is asked with BEGIN must be before the snapshot of what is read.
  if (!options.question.empty())
    result += " ISOLATION LEVEL READ COMMITTED";
  if (options.sandbox) {
    result = on.in_transaction() ? "SAVEPOINT fly" : "BEGIN; SAVEPOINT fly";
    if (options.read_only)
      result += "; SET TRANSACTION READ ONLY";
  }
  if (options.deadline) {
    result += "; SET LOCAL statement_timeout = " + std::to_string(timeout_until(*options.deadline));
  }
  if (!options.read_only)
    result += std::string{"; "} + mark;
  if (!options.application_name.empty())
    result += "; SET LOCAL application_name = " + literal(options.application_name);
  if (!options.question.empty())
    result += "; " + options.question;
  if (options.asks_hold)
    result += std::string{"; SELECT "} + commit_hold_column;
  if (options.with_begin)
    result += "; " + on.keep(*options.with_begin) + on.run(*options.with_begin);
  return result;
}

const kept_statement& after_commit() {
  // The flush position, because the insert position can name a place that no replica reaches
  // (DESIGN 5).
  static const kept_statement result{"fly_after_commit", "",
                                     R"(SELECT pg_current_wal_flush_lsn(),
pg_walfile_name(pg_current_wal_flush_lsn()), pg_advisory_unlock_all())"};
  return result;
}

std::string end_text(const connection& on, bool sandbox, bool touched) {
  // A table made from a query has the tag of a SELECT.
  return std::string{sandbox ? end_in_sandbox : "COMMIT; "} + on.reset_text() + "DISCARD TEMP; " +
         (touched ? end_of_others : "");
}

std::string end_reading_text(const connection& on, bool touched) {
  return "COMMIT; " + on.reset_text() + (touched ? end_of_others : "") + unlock + "; ";
}

std::string undo_text(bool sandbox) {
  return sandbox ? undo_in_sandbox : std::string{"ROLLBACK; "} + unlock;
}

} // namespace fly::repo
