#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <caf/expected.hpp>
#include <caf/fwd.hpp>

#include "fly/repo/record.hpp"
#include "fly/repo/record_sql.hpp"
#include "fly/repo/verb_parts.hpp"

namespace fly::repo {

/// The verbs that write. Of a database: one statement on the primary, then the wait until the local
/// database has it, and `Written<R>` is `committed<R>`; errors as `fly::rpc_and_wait`. Of an open
/// transaction (`within`): there and then, `Written<R>` is R; throws what libpqxx throws. Errors
/// besides: errc::invalid_argument, the record or an argument cannot be used, nothing ran;
/// errc::not_found, no row has the key, nothing changed (or a trigger of the table kept the row,
/// and what that did instead is committed); errc::malformed_result, the row was written, and what
/// the database made of it does not fit, or a trigger has put an inserted one elsewhere (of a
/// database: committed, and the detail "committed" is "yes"). Each blocks.
template <class Self, template <class> class Written>
class writing_verbs {
public:
  /// Inserts a row and returns it as it is in the database, with generated values.
  template <mapped T>
  caf::expected<Written<T>> insert(const T& row) const {
    const void* rows[] = {&row};
    return finish(insert_rows(record_of<T>(), rows), detail::inserted_as<T>);
  }

  /// Inserts rows by one statement, all or none, and returns them, without those that a trigger has
  /// put elsewhere. No rows: errc::invalid_argument.
  template <mapped T>
  caf::expected<Written<std::vector<T>>> insert_all(const std::vector<T>& rows) const {
    std::vector<const void*> all;
    for (const auto& it : rows)
      all.push_back(&it);
    return finish(insert_rows(record_of<T>(), all), detail::rows_as<T>);
  }

  /// Inserts a row; where one with the same `target` fields is there (none given: the key) it gets
  /// the other fields instead. Returns the row. There must be a unique index on the targets.
  template <mapped T, class... Fields>
  caf::expected<Written<T>> insert_or_update(const T& row, Fields T::*... target) const {
    return finish(upsert_row(record_of<T>(), &row, {detail::offset_of(target)...}),
                  detail::inserted_as<T>);
  }

  /// Updates the row with the key of `row`: all its fields, or those given. Returns the row.
  template <mapped T, class... Fields>
  caf::expected<Written<T>> update(const T& row, Fields T::*... fields) const {
    return finish(update_row(record_of<T>(), &row, {detail::offset_of(fields)...}),
                  detail::row_as<T>);
  }

  /// Deletes the row with the key of `row`, and returns what it was.
  template <mapped T>
  caf::expected<Written<T>> delete_(const T& row) const {
    return finish(delete_row(record_of<T>(), &row), detail::row_as<T>);
  }

  /// Updates rows by SQL and returns their number; an empty `where` is all of them:
  /// `db.update_all<order>("count = count + $1", "item = $2", 1, "pen")`.
  template <mapped T, class... Ts>
  caf::expected<Written<std::uint64_t>> update_all(const std::string& set, const std::string& where,
                                                   const Ts&... values) const {
    return finish(update_rows(record_of<T>(), set, where, detail::gather(values...)),
                  detail::count_of);
  }

  /// Deletes rows and returns their number; an empty `where` is all of them.
  template <mapped T, class... Ts>
  caf::expected<Written<std::uint64_t>> delete_all(const std::string& where,
                                                   const Ts&... values) const {
    return finish(delete_rows(record_of<T>(), where, detail::gather(values...)), detail::count_of);
  }

private:
  template <class R>
  caf::expected<Written<R>> finish(const sql_statement& what,
                                   caf::expected<R> (*take)(const result&)) const {
    return detail::taken<R>(detail::write_rows(static_cast<const Self&>(*this), what), take);
  }
};

/// The verbs that write of a database: blocking ones, and the same in the name of the actor `self`:
/// `.then(on_value, on_error)`, nothing blocks.
template <class Self>
class actor_verbs : public writing_verbs<Self, committed> {
  using blocking = writing_verbs<Self, committed>;

public:
  using blocking::delete_;
  using blocking::delete_all;
  using blocking::insert;
  using blocking::insert_all;
  using blocking::insert_or_update;
  using blocking::update;
  using blocking::update_all;

  /// Checks the record of T against the catalogue of the local database. Blocks. Errors: those of
  /// `bound_database::read`; errc::invalid_argument, naming all that does not fit (verify.hpp).
  template <mapped T>
  caf::error verify() const {
    return detail::verify(static_cast<const Self&>(*this), record_of<T>());
  }

  template <mapped T>
  pending_verb<T> insert(caf::scheduled_actor* self, const T& row) const {
    const void* rows[] = {&row};
    return begin(self, insert_rows(record_of<T>(), rows), detail::inserted_as<T>);
  }

  template <mapped T>
  pending_verb<std::vector<T>> insert_all(caf::scheduled_actor* self,
                                          const std::vector<T>& rows) const {
    std::vector<const void*> all;
    for (const auto& it : rows)
      all.push_back(&it);
    return begin(self, insert_rows(record_of<T>(), all), detail::rows_as<T>);
  }

  template <mapped T, class... Fields>
  pending_verb<T> insert_or_update(caf::scheduled_actor* self, const T& row,
                                   Fields T::*... target) const {
    return begin(self, upsert_row(record_of<T>(), &row, {detail::offset_of(target)...}),
                 detail::inserted_as<T>);
  }

  template <mapped T, class... Fields>
  pending_verb<T> update(caf::scheduled_actor* self, const T& row, Fields T::*... fields) const {
    return begin(self, update_row(record_of<T>(), &row, {detail::offset_of(fields)...}),
                 detail::row_as<T>);
  }

  template <mapped T>
  pending_verb<T> delete_(caf::scheduled_actor* self, const T& row) const {
    return begin(self, delete_row(record_of<T>(), &row), detail::row_as<T>);
  }

  template <mapped T, class... Ts>
  pending_verb<std::uint64_t> update_all(caf::scheduled_actor* self, const std::string& set,
                                         const std::string& where, const Ts&... values) const {
    return begin(self, update_rows(record_of<T>(), set, where, detail::gather(values...)),
                 detail::count_of);
  }

  template <mapped T, class... Ts>
  pending_verb<std::uint64_t> delete_all(caf::scheduled_actor* self, const std::string& where,
                                         const Ts&... values) const {
    return begin(self, delete_rows(record_of<T>(), where, detail::gather(values...)),
                 detail::count_of);
  }

private:
  template <class R>
  pending_verb<R> begin(caf::scheduled_actor* self, const sql_statement& what,
                        caf::expected<R> (*take)(const result&)) const {
    return {detail::write_rows(self, static_cast<const Self&>(*this), what), take};
  }
};

} // namespace fly::repo
