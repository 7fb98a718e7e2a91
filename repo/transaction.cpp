#include "fly/repo/transaction.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include "fly/actors/error.hpp"
#include "fly/actors/must.hpp"
#include "fly/repo/commit_error.hpp"
#include "fly/repo/exec.hpp"
#include "fly/repo/position_row.hpp"
#include "fly/repo/sql_error.hpp"
#include "fly/repo/transaction_text.hpp"

namespace fly::repo {

transaction::transaction(connection& on, transaction_options options)
    : compat::named{"fly"}, compat::base_transaction{on.pqxx(),
                                                     (on.took_kept(), on.report().clear(),
                                                      begin_text(on, options))},
      on_(on), read_only_(options.read_only), sandbox_(options.sandbox),
      question_(options.read_only ? std::move(options.question) : std::string{}) {
  on_.took_kept();
  on_.report().fate.begin(sandbox_);
  abort_with(undo_text(sandbox_));
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
    auto guard = guard_of(wanted_);
    auto keep = on_.keep(guard) + on_.keep(after_commit());
    auto position = position_query_.empty() ? on_.run(after_commit()) : position_query_;
    auto check = before.fate.doubtful() ? still_marked : "";
    auto end = end_text(on_, sandbox_, before.fate.touched_session());
    auto rows = direct_exec(
        (before_commit_ + keep + on_.run(guard) + "; " + check + end + position).c_str());
    on_.took_kept();
    position_ = read_position(on_.identity().system, rows, on_.report().transaction_id);
    if (!position_)
      failure_ = unknown_commit("the position cannot be read", {{"committed", "yes"}});
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
    ended_ = direct_exec(undo_text(sandbox_).c_str());
    return;
  }
  on_.report().tags.clear();
  bool touched = on_.report().fate.touched_session();
  auto check = std::string{touched ? still_reading : ""};
  try {
    ended_ = direct_exec((check + end_reading_text(on_, touched) + question_).c_str());
  } catch (const pqxx::sql_error&) {
    const auto& last = on_.report().last;
    if (touched && last && last->message.find("fly.read_may_write") != std::string::npos) {
      failure_ = make_error(errc::function_failed,
                            "the function made its read-only transaction one that may write, and "
                            "nothing of it is committed: what writes is a write");
      roll_back();
      throw;
    }
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
      direct_exec(undo_text(sandbox_).c_str());
  } catch (...) {
    // The connection is of no use, which its owner notices.
  }
}

/// Judges by what the server has said: which statements succeeded, and how the next one failed.
caf::error transaction::error_of_commit() const {
  const auto& report = on_.report();
  bool refused = report.last && report.last->severity == "ERROR" && !has_tag(report, "COMMIT");
  if (refused && report.last->sqlstate == "25P02")
    return swallowed_error();
  if (refused && report.last->sqlstate == "42704" &&
      report.last->message.find("fly.was_rolled_back") != std::string::npos)
    return error_of_end(own_end{.by = "ROLLBACK AND CHAIN"});
  bool at_guard = std::all_of(report.tags.begin(), report.tags.end(),
                              [](const auto& tag) { return tag == "PREPARE"; });
  return repo::error_of_commit(report, at_guard);
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

/// Of a COPY that the function began and left: its data is missing, or was dropped.
caf::error transaction::left_copy() const {
  const auto& report = on_.report();
  const auto& which = report.copying.empty() ? report.copy_left : report.copying;
  if (which.empty())
    return {};
  return make_error(errc::invalid_argument,
                    which +
                        " is no statement that stands alone, its data goes another way; nothing "
                        "of it remains: use pqxx::stream_to or pqxx::stream_from, or INSERT "
                        "and SELECT");
}

void transaction::check_statement() const {
  if (!on_.report().copying.empty())
    throw failure{left_copy()};
}

/// How the function ended the transaction before it was committed. Where that may have left
/// anything the connection is not used again.
std::optional<own_end> transaction::own_end_of() const {
  std::optional<bool> open;
  if (on_.in_transaction() || on_.outside_transaction())
    open = on_.in_transaction();
  auto end = on_.report().fate.ended(open);
  if (end && leaves_something(*end))
    on_.retire();
  return end;
}

caf::error transaction::account_for(caf::error reason) const {
  if (commit_sent_ && !read_only_ && (position_ || effect_of(failure_) == effect::unknown)) {
    auto end = position_ ? error_of_end(own_end{.by = "COMMIT", .committed = true}) : failure_;
    return make_error(code_of(end), text_of(end) + "; then it failed: " + text_of(reason),
                      details_of(end));
  }
  if (commit_sent_)
    return reason;
  auto end = own_end_of();
  if (!end || !leaves_something(*end)) {
    auto copy = left_copy();
    return copy && details_of(reason)["sqlstate"] == "57014" ? copy : reason; // it was cut short
  }
  auto ended = error_of_end(*end);
  return make_error(code_of(ended), text_of(ended) + "; then it failed: " + text_of(reason),
                    details_of(ended));
}

caf::error transaction::run_commit() {
  if (!commit_sent_) {
    auto end = own_end_of();
    if (end && leaves_something(*end))
      return error_of_end(*end);
    if (!on_.connected())
      return error_of_exception(std::make_exception_ptr(pqxx::broken_connection{}), on_.report(),
                                true);
    if (auto reason = left_copy())
      return reason;
    if (end)
      return end->after_error ? swallowed_error() : error_of_end(*end);
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

bool only_its_own(connection& on, const caf::error& reason,
                  std::chrono::steady_clock::time_point deadline) {
  if (details_of(reason)["sqlstate"] != "25006" || on.is_pooled() || !on.connected())
    return false;
  try {
    transaction tx{on, {.deadline = deadline}};
    return exec(tx, "SELECT NOT current_setting('transaction_read_only')::bool")[0][0].as<bool>();
  } catch (...) {
    return false;
  }
}

} // namespace fly::repo
