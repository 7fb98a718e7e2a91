#include "fly/repo/one_statement.hpp"

#include <charconv>
#include <exception>
#include <string_view>
#include <utility>

#include <libpq-fe.h>

#include "fly/actors/error.hpp"
#include "fly/repo/commit_error.hpp"
#include "fly/repo/position_row.hpp"
#include "fly/repo/sql_error.hpp"
#include "fly/repo/transaction_text.hpp"
#include "fly/rpc/returned.hpp"

namespace fly::repo {

namespace {

using namespace std::chrono_literals;

/// How long the server has to roll back; the session is not used again otherwise.
constexpr auto rollback_max = 2s;

std::optional<std::string> field_of(const PGresult& rows, int row, int column) {
  if (PQgetisnull(&rows, row, column) == 1)
    return std::nullopt;
  return std::string{PQgetvalue(&rows, row, column),
                     static_cast<std::size_t>(PQgetlength(&rows, row, column))};
}

result to_result(const PGresult& rows) {
  result taken;
  auto columns = PQnfields(&rows);
  for (int column = 0; column < columns; ++column)
    taken.columns.emplace_back(PQfname(&rows, column));
  taken.rows.resize(static_cast<std::size_t>(PQntuples(&rows)));
  for (std::size_t row = 0; row < taken.rows.size(); ++row)
    for (int column = 0; column < columns; ++column)
      taken.rows[row].push_back(field_of(rows, static_cast<int>(row), column));
  std::string_view affected = PQcmdTuples(const_cast<PGresult*>(&rows));
  std::from_chars(affected.data(), affected.data() + affected.size(), taken.affected_rows);
  return taken;
}

/// How it failed after `succeeded` of its statements.
caf::error error_of(const server_report& report, std::size_t succeeded) {
  // What a server says as it ends the session comes after all that it has done, so that the COMMIT
  // was not begun.
  bool before_commit = report.last && succeeded <= place_of_guard;
  if (before_commit && report.last->severity != "ERROR")
    return not_started(to_error(*report.last));
  if (before_commit && succeeded <= place_of_one)
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

/// Makes the session ready for others, where that can be, and tells why.
caf::error failed(connection& on, const one_statement& what, std::size_t succeeded) {
  auto reason = error_of(on.report(), succeeded);
  if (has_tag(on.report(), "COMMIT")) // what the session was told behind it may be undone
    on.retire();
  if (was_kept_in_vain(reason)) {
    on.no_name_for(what.sql);
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
  auto take = [&](std::size_t place, const PGresult& rows) {
    succeeded = place + 1;
    if (place == place_of_one)
      outcome.rows = to_result(rows);
    else if (succeeded == all.size() && PQntuples(&rows) == 1)
      where = read_position(on.identity().system, PQgetvalue(&rows, 0, 0), PQgetvalue(&rows, 0, 1),
                            on.report().transaction_id);
  };
  caf::error broken;
  try {
    broken = on.link().exchange(all, pq_link::time_point::max(), take);
  } catch (const std::exception& thrown) { // no memory
    on.retire();
    return unknown_commit(std::string{"its answer was lost: "} + thrown.what());
  }
  if (broken)
    return failed(on, what, succeeded);
  if (!where) {
    on.retire();
    return unknown_commit("the position cannot be read", {{"committed", "yes"}});
  }
  outcome.where = *where;
  return outcome;
}

bool was_kept_in_vain(const caf::error& reason) {
  if (reason != errc::sql_failed)
    return false;
  auto sqlstate = details_of(reason)["sqlstate"];
  return sqlstate == "0A000" || sqlstate == "26000" || sqlstate == "42P05";
}

} // namespace fly::repo
