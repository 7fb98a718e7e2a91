#include <stdexcept>
#include <utility>

#include <pqxx/except>

#include "fly/actors/error.hpp"
#include "fly/repo/database.hpp"
#include "fly/repo/exec.hpp"
#include "fly/repo/one_statement.hpp"
#include "fly/repo/statement.hpp"
#include "fly/repo/within.hpp"

namespace fly::repo::detail {

namespace {

/// The name of a cursor that is not open in this transaction: others are of streams around this
/// one, or of one whose sink threw.
constexpr auto free_cursor =
    "SELECT 'fly_stream_' || coalesce(max(substr(name, 12)::int), 0) + 1 FROM pg_cursors "
    "WHERE name ~ '^fly_stream_[0-9]{1,8}$'";

/// Rows that a stream holds at a time.
constexpr auto fetch_batch = "FETCH 500 FROM ";

caf::error each_row_of(const pqxx::result& rows, const row_sink& sink) {
  std::vector<raw_field> fields(static_cast<std::size_t>(rows.columns()));
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < fields.size(); ++i) {
      auto field = row[static_cast<pqxx::row::size_type>(i)];
      fields[i] = field.is_null() ? raw_field{} : std::string_view{field.c_str(), field.size()};
    }
    if (auto reason = sink(fields))
      return reason;
  }
  return {};
}

/// Closed at the end of the transaction at the latest, where the sink throws.
caf::error stream_on(pqxx::transaction_base& tx, const sql_statement& what, const row_sink& sink) {
  auto cursor = exec(tx, free_cursor)[0][0].as<std::string>();
  compat::exec_with(tx, "DECLARE " + cursor + " NO SCROLL CURSOR FOR " + what.text,
                    what.parameters);
  for (;;) {
    auto rows = exec(tx, fetch_batch + cursor);
    auto reason = each_row_of(rows, sink);
    if (!reason && !rows.empty())
      continue;
    exec(tx, "CLOSE " + cursor);
    return reason;
  }
}

} // namespace

caf::error read_rows(const bound_database& db, const sql_statement& what, const row_sink& sink) {
  if (what.wrong)
    return what.wrong;
  if (db.options().otherwise == otherwise::wait) { // straight from the connection
    one_query one{what.text, what.parameters, what.repeats,
                  [&](const pg_result& rows) { return repo::each_row_of(rows, sink); }};
    return db.read_raw(
        [&](pqxx::transaction_base& tx) {
          return each_row_of(compat::exec_with(tx, what.text, what.parameters), sink);
        },
        &one);
  }
  auto rows = read_result(db, what);
  return rows ? each_row(*rows, sink) : std::move(rows.error());
}

caf::error read_rows(const within& tx, const sql_statement& what, const row_sink& sink) {
  if (what.wrong)
    return what.wrong;
  return each_row_of(compat::exec_with(tx.transaction(), what.text, what.parameters), sink);
}

caf::error stream_rows(const bound_database& db, const sql_statement& what, const row_sink& sink) {
  if (what.wrong)
    return what.wrong;
  return db.read_raw([&](pqxx::transaction_base& tx) { return stream_on(tx, what, sink); });
}

caf::error stream_rows(const within& tx, const sql_statement& what, const row_sink& sink) {
  return what.wrong ? what.wrong : stream_on(tx.transaction(), what, sink);
}

caf::expected<result> read_result(const bound_database& db, const sql_statement& what) {
  result rows;
  if (auto reason = db.read_statement(what, rows))
    return reason;
  return rows;
}

caf::expected<result> read_result(const within& tx, const sql_statement& what) {
  if (what.wrong)
    return what.wrong;
  return run_statement(tx.transaction(), what.text, what.parameters);
}

caf::expected<committed<result>> write_rows(const bound_database& db, const sql_statement& what) {
  if (what.wrong)
    return what.wrong;
  return fly::rpc_and_wait(db, write_rows_statement, what.text, what.parameters, what.repeats);
}

caf::expected<result> write_rows(const within& tx, const sql_statement& what) {
  return read_result(tx, what);
}

actors::pending<raw_committed> write_rows(caf::scheduled_actor* self, const bound_database& db,
                                          const sql_statement& what) {
  auto key = db.next_key();
  auto arguments = what.wrong ? caf::expected<rpc::bytes>{what.wrong}
                              : rpc::encode(key, what.text, what.parameters, what.repeats);
  return db.ask_raw(self, true, write_rows_statement.name,
                    write_signature<result, std::string, std::vector<parameter>, bool>(), key,
                    std::move(arguments));
}

caf::expected<committed<result>> execute(const bound_database& db, std::string sql,
                                         given_parameters given) {
  if (!given)
    return std::move(given.error());
  return fly::rpc_and_wait(db, execute_statement, sql, *given);
}

caf::expected<committed<result>> decode_rows(raw_committed raw) {
  return to_committed<result>(std::move(raw));
}

given_parameters gather_from(const std::function<std::vector<parameter>()>& make) {
  try {
    auto given = make();
    if (auto wrong = check_parameters(given))
      return wrong;
    return given;
  } catch (const std::invalid_argument& thrown) {
    return make_error(errc::invalid_argument, std::string{"a value: "} + thrown.what());
  }
}

caf::error each_row(const result& rows, const row_sink& sink) {
  std::vector<raw_field> fields;
  for (const auto& row : rows.rows) {
    fields.assign(row.begin(), row.end());
    if (auto reason = sink(fields))
      return reason;
  }
  return {};
}

caf::expected<std::size_t> place_of(std::span<const raw_field> fields, std::size_t count) {
  std::int64_t place = 0;
  auto text = fields.empty() ? raw_field{} : fields.back();
  auto wrong = sql::read_integer(text.value_or(""), 1, static_cast<std::int64_t>(count), place);
  if (!wrong.empty())
    return make_error(errc::malformed_result, "the place of a row " + wrong);
  return static_cast<std::size_t>(place - 1);
}

caf::error no_such_row(const record_info& info) {
  return make_error(errc::not_found, info.shown() + " has no such row");
}

caf::error no_row_back(const record_info& info) {
  return make_error(errc::malformed_result,
                    info.shown() + " gave no row back, and something was done: a trigger or a rule "
                                   "has put something else in its place");
}

caf::error several_rows(const record_info& info) {
  return make_error(errc::invalid_argument,
                    info.shown() + " has several such rows, and one was asked for");
}

caf::expected<std::size_t> lone_key(const record_info& info) {
  auto keys = info.with(column_role::key);
  if (keys.size() == 1)
    return keys.front()->offset;
  return make_error(errc::invalid_argument, "the record " + info.type + ": its key has " +
                                                std::to_string(keys.size()) +
                                                " columns, and preload wants one");
}

caf::expected<std::string> lone_key_text(const record_info& info, const void* row) {
  auto offset = lone_key(info);
  if (!offset)
    return std::move(offset.error());
  return write_field(*info.at(*offset), row).value_or("");
}

} // namespace fly::repo::detail
