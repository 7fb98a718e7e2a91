#pragma once

#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <caf/expected.hpp>
#include <caf/fwd.hpp>

#include "fly/actors/error.hpp"
#include "fly/actors/pending.hpp"
#include "fly/repo/committed.hpp"
#include "fly/repo/record.hpp"
#include "fly/repo/record_sql.hpp"
#include "fly/repo/result.hpp"
#include "fly/repo/write_call.hpp"
#include "fly/repo/write_reply.hpp"

namespace pqxx {
class transaction_base;
}

namespace fly::repo {

class bound_database;
class within;

namespace detail {

// What the verbs are made of: each exists for a database and for an open transaction, and runs an
// `sql_statement`, or returns why that is wrong.

using row_sink = std::function<caf::error(std::span<const raw_field>)>;

/// Gives each row to `sink`, whose first error ends it.
caf::error read_rows(const bound_database& db, const sql_statement& what, const row_sink& sink);
caf::error read_rows(const within& tx, const sql_statement& what, const row_sink& sink);

/// The same by a cursor, a batch at a time.
caf::error stream_rows(const bound_database& db, const sql_statement& what, const row_sink& sink);
caf::error stream_rows(const within& tx, const sql_statement& what, const row_sink& sink);

caf::expected<result> read_result(const bound_database& db, const sql_statement& what);
caf::expected<result> read_result(const within& tx, const sql_statement& what);

/// Compares the record with the catalogue of the local database (verify.hpp).
caf::error verify(const bound_database& db, const record_info& info);

/// Runs it on the primary, and waits as the call's options say.
caf::expected<committed<result>> write_rows(const bound_database& db, const sql_statement& what);
caf::expected<result> write_rows(const within& tx, const sql_statement& what);
actors::pending<raw_committed> write_rows(caf::scheduled_actor* self, const bound_database& db,
                                          const sql_statement& what);

/// Runs a statement of the user on the primary, and waits as the call's options say.
caf::expected<committed<result>> execute(const bound_database& db, std::string sql,
                                         given_parameters given);

/// Returns what a write gave, decoded.
caf::expected<committed<result>> decode_rows(raw_committed raw);

/// Runs `make`, which may throw std::invalid_argument, and checks what it gives.
given_parameters gather_from(const std::function<std::vector<parameter>()>& make);

template <class... Ts>
given_parameters gather(const Ts&... values) {
  return gather_from([&] { return to_parameters(values...); });
}

/// Gives the rows of a result to `sink`.
caf::error each_row(const result& rows, const row_sink& sink);

template <class T>
caf::expected<std::vector<T>> rows_as(const result& from) {
  std::vector<T> rows;
  if (auto reason = each_row(from, [&](std::span<const raw_field> fields) {
        return read_row(record_of<T>(), fields, &rows.emplace_back());
      }))
    return reason;
  return rows;
}

/// Returns which of `count` values a row of `select_any` is of, from 0 on.
caf::expected<std::size_t> place_of(std::span<const raw_field> fields, std::size_t count);

caf::error no_such_row(const record_info& info);
/// Of a statement that did something and gave no row back.
caf::error no_row_back(const record_info& info);
caf::error several_rows(const record_info& info);

/// Returns where the only key field of a record is.
caf::expected<std::size_t> lone_key(const record_info& info);
caf::expected<std::string> lone_key_text(const record_info& info, const void* row);

template <class T>
caf::expected<T> row_as(const result& from) {
  auto rows = rows_as<T>(from);
  if (!rows)
    return std::move(rows.error());
  if (rows->empty())
    return no_such_row(record_of<T>());
  return std::move(rows->front());
}

/// The row of an insert, of which there is always one, unless the database made something else of
/// it.
template <class T>
caf::expected<T> inserted_as(const result& from) {
  return from.rows.empty() ? caf::expected<T>{no_row_back(record_of<T>())} : row_as<T>(from);
}

inline caf::expected<std::uint64_t> count_of(const result& from) {
  return from.affected_rows;
}

/// Turns the rows of a write into what its caller wants, committed or inside a transaction.
template <class R>
caf::expected<committed<R>> taken(caf::expected<committed<result>> done,
                                  caf::expected<R> (*take)(const result&)) {
  if (!done)
    return std::move(done.error());
  auto value = take(**done);
  if (!value && value.error() == errc::malformed_result)
    return but_committed(value.error());
  if (!value)
    return std::move(value.error());
  return committed<R>{std::move(*value), done->report()};
}

template <class R>
caf::expected<R> taken(caf::expected<result> done, caf::expected<R> (*take)(const result&)) {
  return done ? take(*done) : caf::expected<R>{std::move(done.error())};
}

} // namespace detail

/// A verb that an actor awaits: call `.then` in the same handler. The actor does not block. Where
/// it ends first, the write goes on and its result is dropped. Only inside the actor.
template <class R>
class [[nodiscard]] pending_verb {
public:
  pending_verb(actors::pending<raw_committed> raw, caf::expected<R> (*take)(const result&))
      : raw_(std::move(raw)), take_(take) {}

  /// Runs `on_value(committed<R>&)` or `on_error(caf::error&)` inside the actor, exactly one of
  /// them, at the deadline at the latest.
  template <class OnValue, class OnError>
  void then(OnValue on_value, OnError on_error) && {
    std::move(raw_).then(
        [on_value = std::move(on_value), on_error, take = take_](raw_committed& raw) mutable {
          auto outcome = detail::taken<R>(detail::decode_rows(std::move(raw)), take);
          if (outcome)
            return on_value(*outcome);
          caf::error reason = outcome.error();
          on_error(reason);
        },
        [on_error](caf::error& reason) mutable { on_error(reason); });
  }

private:
  actors::pending<raw_committed> raw_;
  caf::expected<R> (*take_)(const result&);
};

} // namespace fly::repo
