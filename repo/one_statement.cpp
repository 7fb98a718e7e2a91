#include "fly/repo/one_statement.hpp"

#include <algorithm>
#include <cctype>
#include <exception>
#include <string_view>
#include <utility>

#include <libpq-fe.h>

#include "fly/actors/error.hpp"
#include "fly/repo/commit_error.hpp"
#include "fly/repo/position_row.hpp"
#include "fly/repo/sql_error.hpp"
#include "fly/repo/transaction_runner.hpp"
#include "fly/repo/transaction_text.hpp"
#include "fly/rpc/returned.hpp"

namespace fly::repo {

namespace {

using namespace std::chrono_literals;

/// How long the server has to roll back; the session is not used again otherwise.
constexpr auto rollback_max = 2s;

/// How it failed after `succeeded` of its statements.
caf::error error_of(const server_report& report, std::size_t succeeded) {
  // What a server says as it ends the session comes after all that it has done, so that the COMMIT
  // was not begun. A proxy says that whenever it likes: the server goes on, and may commit.
  bool before_commit = report.last && succeeded <= place_of_guard && !has_tag(report, "COMMIT");
  bool goes_on = report.last && report.last->severity == "ERROR";
  if (before_commit && !goes_on && !report.last->routine.empty())
    return not_started(to_error(*report.last));
  if (before_commit && goes_on && succeeded <= place_of_one)
    return to_write_error(*report.last);
  return error_of_commit(report, succeeded == place_of_guard);
}

/// Ends what a failure has left.
void roll_back(connection& on) {
  if (on.outside_transaction())
    return;
  if (!on.in_transaction() ||
      !on.link().query(undo_text(false), std::chrono::steady_clock::now() + rollback_max))
    on.retire();
}

/// Makes the session ready for others after `sql` has failed with `reason`, where that can be.
caf::error failed(connection& on, const std::string& sql, caf::error reason) {
  if (has_tag(on.report(), "COMMIT")) // what the session was told behind it may be undone
    on.retire();
  if (was_kept_in_vain(reason)) {
    on.no_name_for(sql);
    if (details_of(reason)["sqlstate"] != "0A000")
      on.retire(); // nobody knows what else is gone
  }
  roll_back(on);
  return reason;
}

} // namespace

caf::expected<one_outcome> write_one(connection& on, const one_statement& what,
                                     const one_options& options) {
  auto name = what.repeats ? on.name_for(what.sql) : std::string{};
  auto all = around_one(on, {std::move(name), what.sql, what.parameters}, options.wanted,
                        options.deadline, options.application_name);
  std::size_t succeeded = 0;
  one_outcome outcome;
  std::optional<position> where;
  auto take = [&](std::size_t place, const result_handle& rows) {
    succeeded = place + 1;
    if (place == place_of_one)
      outcome.rows = to_result(*rows);
    else if (succeeded == all.size() && PQntuples(rows.get()) == 1)
      where = read_position(on.identity().system, PQgetvalue(rows.get(), 0, 0),
                            PQgetvalue(rows.get(), 0, 1), on.report().transaction_id);
  };
  caf::error broken;
  try {
    broken = on.link().exchange(all, pq_link::time_point::max(), take);
  } catch (const std::exception& thrown) { // no memory
    on.retire();
    return unknown_commit(std::string{"its answer was lost: "} + thrown.what());
  }
  if (broken)
    return failed(on, what.sql, error_of(on.report(), succeeded));
  if (!where) {
    on.retire();
    return unknown_commit("the position cannot be read", {{"committed", "yes"}});
  }
  outcome.where = *where;
  return outcome;
}

bool gives_rows(std::string_view sql) noexcept {
  auto begin = sql.find_first_not_of(" \t\r\n(");
  if (begin == std::string_view::npos)
    return false;
  sql.remove_prefix(begin);
  auto begins_with = [&](std::string_view word) {
    auto letters = sql.substr(0, word.size());
    bool same = std::equal(letters.begin(), letters.end(), word.begin(), word.end(),
                           [](char a, char b) { return (a & ~0x20) == b; });
    return same && (sql.size() == word.size() ||
                    std::isalnum(static_cast<unsigned char>(sql[word.size()])) == 0);
  };
  return begins_with("SELECT") || begins_with("WITH") || begins_with("VALUES") ||
         begins_with("TABLE");
}

caf::expected<result_handle> read_one(connection& on, const one_query& what,
                                      std::chrono::steady_clock::time_point deadline,
                                      const checked_read* check) {
  std::vector<link_statement> before;
  std::vector<link_statement> behind;
  if (check != nullptr) {
    behind = check->question(on.identity());
    if (!check->is_known || !check->is_known(on.identity(), on.opened_at()))
      before = behind;
  }
  auto place_of_query = place_of_one + before.size();
  auto name = what.repeats ? on.name_for(what.sql) : std::string{};
  auto all =
      around_query(on, {std::move(name), what.sql, what.parameters}, before, behind, deadline);
  caf::error refused;
  result_handle rows;
  result_handle last;
  auto broken = on.link().exchange(all, pq_link::time_point::max(),
                                   [&](std::size_t place, result_handle given) {
                                     if (!before.empty() && place + 1 == place_of_query)
                                       refused = check->before(to_rows(*given), on.identity());
                                     else if (place == place_of_query)
                                       rows = std::move(given);
                                     else
                                       last = std::move(given);
                                   });
  if (broken)
    broken = failed(on, what.sql, std::move(broken));
  if (refused)
    return refused;
  if (broken)
    return broken;
  if (check != nullptr)
    if (auto reason = check->after(to_rows(*last), on.identity()))
      return reason;
  return rows;
}

bool was_kept_in_vain(const caf::error& reason) {
  if (reason != errc::sql_failed)
    return false;
  auto sqlstate = details_of(reason)["sqlstate"];
  return sqlstate == "0A000" || sqlstate == "26000" || sqlstate == "42P05";
}

} // namespace fly::repo
