#include "fly/repo/transaction.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include "fly/actors/error.hpp"
#include "fly/repo/commit_hold.hpp"
#include "fly/repo/position_row.hpp"
#include "fly/repo/sql_error.hpp"

namespace fly::repo {

namespace {

// The guard. It fails in an aborted transaction (25P02), on a server in recovery (55000, by
// pg_current_wal_flush_lsn), where commits are held, where the server's timeline was left ($1), and
// where it is not the one with that start ($2, unless that is 0); it raises synchronous_commit, and
// tells the transaction id, which the server's report keeps (transaction_id_column).
const std::string guard_text =
    std::string{"SELECT pg_current_xact_id_if_assigned() AS fly_xid, pg_current_wal_flush_lsn(), "
                "CASE current_setting('synchronous_commit') WHEN 'off' "
                "THEN set_config('synchronous_commit', 'local', true) END, "} +
    commit_hold_column +
    ", CASE WHEN ('x' || substr(pg_walfile_name(pg_current_wal_flush_lsn()), 1, 8))::bit(32)::int8 "
    "< $1 THEN current_setting('fly.timeline_was_left') "
    "WHEN $2 NOT IN (0, (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::int8) "
    "THEN current_setting('fly.server_is_another') END";

kept_statement guard_of(std::uint32_t timeline_min, std::int64_t server) {
  return {"fly_guard",
          "int8, int8",
          guard_text,
          {std::to_string(timeline_min), std::to_string(server)}};
}

// The end of a write in a sandbox: what COMMIT would check is checked now, and stays deferred.
constexpr auto end_in_sandbox = R"(SAVEPOINT fly_check; SET CONSTRAINTS ALL IMMEDIATE;
ROLLBACK TO SAVEPOINT fly_check; RELEASE SAVEPOINT fly_check; RELEASE SAVEPOINT fly; )";
constexpr auto undo_in_sandbox = "ROLLBACK TO SAVEPOINT fly; RELEASE SAVEPOINT fly";

// Read after the commit: within the transaction the commit record is not yet in the log. The flush
// position, because the insert position can name a place that no replica reaches (DESIGN 5).
const kept_statement after_commit{"fly_after_commit", "",
                                  R"(SELECT pg_current_wal_flush_lsn(),
substr(pg_walfile_name(pg_current_wal_flush_lsn()), 1, 8))"};

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
    auto left = std::chrono::floor<std::chrono::milliseconds>(*options.deadline -
                                                              std::chrono::steady_clock::now());
    auto bounded = std::clamp<std::int64_t>(left.count(), 1, 86'400'000);
    result += "; SET LOCAL statement_timeout = " + std::to_string(bounded);
  }
  if (options.sandbox) {
    if (!options.application_name.empty())
      result += "; SET LOCAL application_name = " + literal(options.application_name);
  } else if (auto show = on.show(options.application_name); !show.empty()) {
    result += "; " + show;
  }
  if (!options.question.empty())
    result += "; " + options.question;
  if (options.asks_hold)
    result += std::string{"; SELECT "} + commit_hold_column;
  if (options.with_begin)
    result += "; " + on.keep(*options.with_begin) + on.run(*options.with_begin);
  return result;
}

bool has_tag(const server_report& report, std::string_view tag) {
  return std::find(report.tags.begin(), report.tags.end(), tag) != report.tags.end();
}

caf::error unknown(const std::string& why, error_details details = {}) {
  return make_error(errc::outcome_unknown, "the outcome of the commit is not known: " + why,
                    std::move(details));
}

} // namespace

transaction::transaction(connection& on, transaction_options options)
    : compat::named{"fly"}, compat::base_transaction{on.pqxx(),
                                                     (on.took_kept(), on.report().clear(),
                                                      begin_text(on, options))},
      on_(on), read_only_(options.read_only), sandbox_(options.sandbox),
      question_(options.read_only ? std::move(options.question) : std::string{}) {
  on_.took_kept();
  if (sandbox_)
    abort_with(undo_in_sandbox);
}

void transaction::before_commit(std::string_view statement) {
  before_commit_ += statement;
  before_commit_ += "; ";
}

void transaction::before_commit(const kept_statement& statement) {
  before_commit(on_.keep(statement) + on_.run(statement));
}

void transaction::do_commit() {
  commit_sent_ = true;
  if (read_only_)
    return commit_reading();
  // What aborted the transaction before stays known beside what the commit itself says.
  auto before = std::exchange(on_.report(), server_report{});
  try {
    // What is to be kept is said before the commit: after it nothing but the question may fail.
    auto guard = guard_of(timeline_min_, server_wanted_);
    auto keep = on_.keep(guard) + on_.keep(after_commit);
    auto position = position_query_.empty() ? on_.run(after_commit) : position_query_;
    auto end = sandbox_ ? end_in_sandbox : "COMMIT; ";
    auto rows =
        direct_exec((before_commit_ + keep + on_.run(guard) + "; " + end + position).c_str());
    on_.took_kept();
    position_ = read_position(on_.identity().system, rows, on_.report().transaction_id);
    if (!position_)
      failure_ = unknown("the position cannot be read", {{"committed", "yes"}});
  } catch (...) {
    on_.took_kept();
    if (on_.report().last && on_.report().last->sqlstate == "26000")
      on_.forget_kept();
    if (!on_.report().cause)
      on_.report().cause = std::move(before.cause);
    failure_ = error_of_commit();
    roll_back();
    throw;
  }
}

/// Commits what was read, whatever the question behind it comes to.
void transaction::commit_reading() {
  if (sandbox_) {
    ended_ = direct_exec(undo_in_sandbox);
    return;
  }
  on_.report().tags.clear();
  try {
    ended_ = direct_exec(("COMMIT; " + question_).c_str());
  } catch (const pqxx::sql_error&) {
    if (!has_tag(on_.report(), "COMMIT") || !was_promoted(on_.report().last))
      throw;
    ended_ = direct_exec(question_.c_str());
  }
}

/// libpqxx holds a transaction whose commit failed for ended, but a guard that failed leaves it
/// open.
void transaction::roll_back() noexcept {
  try {
    if (on_.in_transaction())
      direct_exec(sandbox_ ? undo_in_sandbox : "ROLLBACK");
  } catch (...) {
    // The connection is of no use, which its owner notices.
  }
}

/// Judges by what the server has said: which statements succeeded, and how the next one failed.
caf::error transaction::error_of_commit() const {
  const auto& report = on_.report();
  bool committed = has_tag(report, "COMMIT");
  if (!report.last)
    return unknown("the connection broke",
                   committed ? error_details{{"committed", "yes"}} : error_details{});
  auto details = details_of(to_error(*report.last));
  if (committed) {
    details.emplace("committed", "yes");
    return unknown("after it: " + report.last->message, std::move(details));
  }
  // The server answered the guard or the COMMIT with an error and went on: it has rolled back. A
  // session that ends meanwhile (FATAL) may have committed before.
  if (report.last->severity != "ERROR")
    return unknown(report.last->message, std::move(details));
  const auto& sqlstate = report.last->sqlstate;
  if (sqlstate == "25P02")
    return swallowed_error();
  if (sqlstate == "42704" && !says_held(*report.last) &&
      report.last->message.find("\"fly.") != std::string::npos)
    return make_error(errc::not_primary,
                      "the server that was reached is not the primary: " + report.last->message,
                      std::move(details));
  bool by_guard = std::all_of(report.tags.begin(), report.tags.end(),
                              [](const auto& tag) { return tag == "PREPARE"; });
  if (sqlstate == "55000" && by_guard)
    return make_error(errc::not_primary, report.last->message, std::move(details));
  return to_write_error(*report.last);
}

/// What aborted the transaction, for a function that went on.
caf::error transaction::swallowed_error() const {
  const auto& cause = on_.report().cause;
  auto reason = cause ? *cause : on_.report().last.value_or(server_error{});
  auto turned = read_only_ ? to_error(reason) : to_write_error(reason);
  return make_error(code_of(turned),
                    "the function went on after an error, nothing is committed: " + text_of(turned),
                    details_of(turned));
}

caf::error transaction::run_commit() {
  if (!commit_sent_) {
    if (!on_.connected())
      return error_of_exception(std::make_exception_ptr(pqxx::broken_connection{}), on_.report(),
                                true);
    if (!on_.in_transaction() && !on_.report().cause)
      return make_error(errc::function_failed, "the function ended its transaction itself");
    // A plain COMMIT, without the guard of a write, would succeed and roll back.
    if (read_only_ && on_.in_aborted_transaction())
      return swallowed_error();
  }
  try {
    commit();
  } catch (...) {
    if (failure_)
      return failure_;
    // libpqxx has rolled back when the statement failed, or a stream was left open: nothing was
    // sent, and the first error is the reason.
    if (on_.report().cause)
      return swallowed_error();
    return error_of_exception(std::current_exception(), on_.report(), !read_only_);
  }
  return failure_;
}

caf::expected<position> transaction::finish() {
  if (auto reason = run_commit())
    return reason;
  return *position_;
}

caf::error transaction::finish_reading() {
  return run_commit();
}

} // namespace fly::repo
