#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <caf/error.hpp>
#include <caf/expected.hpp>

#include "fly/repo/aggregate.hpp"
#include "fly/repo/record.hpp"
#include "fly/repo/record_sql.hpp"
#include "fly/repo/verb_parts.hpp"

namespace fly::repo {

/// The verbs that read, of a database (its local one, in a read-only transaction each) and of an
/// open transaction (`within`). A `where` is SQL of the programmer with $1 and on; the values after
/// it are always parameters. Each blocks: never call it from an actor that shares threads.
/// Errors: those of `bound_database::read`; errc::invalid_argument, the record or an argument
/// cannot be used; errc::malformed_result, a value of the database does not fit its field.
template <class Self>
class reading_verbs {
public:
  /// Returns the rows of T's table: `db.all<order>("count > $1", 3)`.
  template <mapped T, std::convertible_to<std::string> Where, class... Ts>
  caf::expected<std::vector<T>> all(const Where& where, const Ts&... values) const {
    return all<T>(selection{.where = where}, values...);
  }

  template <mapped T>
  caf::expected<std::vector<T>> all() const {
    return all<T>(selection{});
  }

  /// The same with an order and a limit: `db.all<order>({.order_by = "id", .limit = 10})`.
  template <mapped T, class... Ts>
  caf::expected<std::vector<T>> all(const selection& which, const Ts&... values) const {
    return rows_of<T>(select_rows(record_of<T>(), which, detail::gather(values...)));
  }

  /// Returns the only row, or nothing where there is none.
  /// Errors besides: errc::invalid_argument where there are several.
  template <mapped T, std::convertible_to<std::string> Where, class... Ts>
  caf::expected<std::optional<T>> one(const Where& where, const Ts&... values) const {
    return one<T>(selection{.where = where}, values...);
  }

  template <mapped T>
  caf::expected<std::optional<T>> one() const {
    return one<T>(selection{});
  }

  /// The same of some rows in an order: `db.one<order>({.order_by = "id DESC", .limit = 1})`.
  template <mapped T, class... Ts>
  caf::expected<std::optional<T>> one(selection which, const Ts&... values) const {
    which.limit = std::min(which.limit.value_or(2), std::int64_t{2});
    return only<T>(select_rows(record_of<T>(), which, detail::gather(values...)));
  }

  /// Returns the row with this key, whose columns are in the order of FLY_RECORD; or nothing.
  template <mapped T, class... Ts>
  caf::expected<std::optional<T>> get(const Ts&... key) const {
    return only<T>(select_key(record_of<T>(), detail::gather(key...)));
  }

  /// Returns the only row whose fields have these values: `db.get_by(&order::item, "pen")`; an
  /// empty optional looks for NULL. Errors besides: errc::invalid_argument where there are several.
  template <mapped T, class Field, class... More>
  caf::expected<std::optional<T>> get_by(Field T::*field, const std::type_identity_t<Field>& value,
                                         const More&... more) const {
    static_assert(sizeof...(More) % 2 == 0, "a value behind each field");
    std::vector<std::size_t> offsets;
    std::vector<std::function<parameter()>> texts;
    add_equal(offsets, texts, field, value, more...);
    auto given = detail::gather_from([&] {
      std::vector<parameter> result;
      for (const auto& it : texts)
        result.push_back(it());
      return result;
    });
    return only<T>(select_equal(record_of<T>(), offsets, std::move(given)));
  }

  /// Returns whether there is a row.
  template <mapped T, std::convertible_to<std::string> Where, class... Ts>
  caf::expected<bool> exists(const Where& where, const Ts&... values) const {
    return scalar<bool>(select_exists(record_of<T>(), where, detail::gather(values...)));
  }

  template <mapped T>
  caf::expected<bool> exists() const {
    return exists<T>("");
  }

  /// Returns an aggregate (aggregate.hpp): `db.aggregate(sum(&order::count), "item = $1", "pen")`.
  template <class T, class R, std::convertible_to<std::string> Where, class... Ts>
  caf::expected<R> aggregate(const aggregate_of<T, R>& what, const Where& where,
                             const Ts&... values) const {
    return scalar<R>(select_aggregate(record_of<T>(), what.function, what.offset, where,
                                      detail::gather(values...)));
  }

  template <class T, class R>
  caf::expected<R> aggregate(const aggregate_of<T, R>& what) const {
    return aggregate(what, "");
  }

  /// Returns the row with the key of `row` as it is now. Errors besides: errc::not_found.
  template <mapped T>
  caf::expected<T> reload(const T& row) const {
    auto found = only<T>(select_again(record_of<T>(), &row));
    if (!found)
      return std::move(found.error());
    if (!*found)
      return detail::no_such_row(record_of<T>());
    return std::move(**found);
  }

  /// Gives the rows one by one to `each(T&)`, by a cursor: memory for 500 rows at a time. Where
  /// `each` returns bool, false ends it; caf::error ends it with that.
  template <mapped T, class Each, std::convertible_to<std::string> Where, class... Ts>
  requires std::invocable<Each&, T&> caf::error stream(Each each, const Where& where,
                                                       const Ts&... values)
  const { return stream<T>(std::move(each), selection{.where = where}, values...); }

  template <mapped T, class Each, class... Ts>
  requires std::invocable<Each&, T&> caf::error stream(Each each, const selection& which = {},
                                                       const Ts&... values)
  const {
    auto what = select_rows(record_of<T>(), which, detail::gather(values...));
    bool enough = false;
    auto reason =
        detail::stream_rows(self(), what, [&](std::span<const raw_field> fields) -> caf::error {
          T row{};
          if (auto wrong = read_row(record_of<T>(), fields, &row))
            return wrong;
          using outcome = std::invoke_result_t<Each&, T&>;
          if constexpr (std::is_same_v<outcome, caf::error>)
            return each(row);
          else if constexpr (!std::is_same_v<outcome, bool>)
            each(row);
          else if (enough = !each(row); enough)
            return errc::expired; // of nobody's interest, but it ends the stream
          return {};
        });
    return enough ? caf::error{} : reason;
  }

  /// Runs any SQL that reads, and returns its rows as text.
  template <class... Ts>
  caf::expected<result> query(std::string sql, const Ts&... values) const {
    return detail::read_result(self(), of_user(std::move(sql), detail::gather(values...)));
  }

  /// Fills `into` of each parent with its children, those whose `foreign` is the parent's key:
  /// `db.preload(orders, &order::lines, &line::order_id)`. One query, whatever their number; the
  /// children of one parent in the order of their key.
  template <mapped Parent, mapped Child, class Key>
  caf::error preload(std::vector<Parent>& parents, std::vector<Child> Parent::*into,
                     Key Child::*foreign) const {
    std::multimap<std::string, Parent*> by_key;
    for (auto& it : parents) {
      (it.*into).clear();
      if (auto reason = note_key(by_key, it))
        return reason;
    }
    return fill<Child>(by_key, detail::offset_of(foreign),
                       [&](Parent& to, const Child& child) { (to.*into).push_back(child); });
  }

  /// Fills `into` of each child with its parent, the one whose key is `foreign`; empty where there
  /// is none: `db.preload(lines, &line::order, &line::order_id)`. One query.
  template <mapped Child, mapped Parent, class Key>
  caf::error preload(std::vector<Child>& children, std::optional<Parent> Child::*into,
                     Key Child::*foreign) const {
    std::multimap<std::string, Child*> by_key;
    for (auto& it : children) {
      (it.*into).reset();
      if (auto key = sql::write_element(it.*foreign))
        by_key.emplace(std::move(*key), &it);
    }
    auto key = detail::lone_key(record_of<Parent>());
    if (!key)
      return std::move(key.error());
    return fill<Parent>(by_key, *key,
                        [&](Child& to, const Parent& parent) { (to.*into) = parent; });
  }

private:
  const Self& self() const { return static_cast<const Self&>(*this); }

  static sql_statement of_user(std::string text, given_parameters given) {
    if (!given)
      return {.wrong = std::move(given.error())};
    return {.text = std::move(text), .parameters = std::move(*given)};
  }

  template <class T>
  caf::expected<std::vector<T>> rows_of(const sql_statement& what) const {
    std::vector<T> rows;
    if (auto reason = detail::read_rows(self(), what, [&](std::span<const raw_field> fields) {
          return read_row(record_of<T>(), fields, &rows.emplace_back());
        }))
      return reason;
    return rows;
  }

  template <class T>
  caf::expected<std::optional<T>> only(const sql_statement& what) const {
    auto rows = rows_of<T>(what);
    if (!rows)
      return std::move(rows.error());
    if (rows->size() > 1)
      return detail::several_rows(record_of<T>());
    return rows->empty() ? std::optional<T>{} : std::optional<T>{std::move(rows->front())};
  }

  template <class R>
  caf::expected<R> scalar(const sql_statement& what) const {
    R value{};
    if (auto reason =
            detail::read_rows(self(), what, [&](std::span<const raw_field> fields) -> caf::error {
              auto wrong = sql::read_element(fields.front(), value);
              return wrong.empty() ? caf::error{} : make_error(errc::malformed_result, wrong);
            }))
      return reason;
    return value;
  }

  template <class T, class Field, class... More>
  static void add_equal(std::vector<std::size_t>& offsets,
                        std::vector<std::function<parameter()>>& texts, Field T::*field,
                        const std::type_identity_t<Field>& value, const More&... more) {
    offsets.push_back(detail::offset_of(field));
    texts.push_back([&value]() -> parameter { return sql::write_element<Field>(value); });
    if constexpr (sizeof...(More) > 0)
      add_equal<T>(offsets, texts, more...);
  }

  /// Notes `row` by the text of its lone key.
  template <class T>
  static caf::error note_key(std::multimap<std::string, T*>& by_key, T& row) {
    auto key = detail::lone_key_text(record_of<T>(), &row);
    if (!key)
      return std::move(key.error());
    by_key.emplace(std::move(*key), &row);
    return {};
  }

  /// Reads the rows of `Row` whose field at `offset` is a key of `wanted`, and joins them. Which
  /// key that is the database says.
  template <class Row, class To, class Join>
  caf::error fill(const std::multimap<std::string, To*>& wanted, std::size_t offset,
                  Join join) const {
    if (wanted.empty())
      return {};
    std::vector<parameter> keys;
    for (auto it = wanted.begin(); it != wanted.end(); it = wanted.upper_bound(it->first))
      keys.emplace_back(it->first);
    std::vector<std::pair<std::string, Row>> rows;
    auto take = [&](std::span<const raw_field> fields) -> caf::error {
      auto place = detail::place_of(fields, keys.size());
      if (!place)
        return std::move(place.error());
      auto& [key, row] = rows.emplace_back(*keys[*place], Row{});
      return read_row(record_of<Row>(), fields.first(fields.size() - 1), &row);
    };
    if (auto reason = detail::read_rows(self(), select_any(record_of<Row>(), offset, keys), take))
      return reason;
    for (const auto& [key, row] : rows) {
      auto [begin, end] = wanted.equal_range(key);
      for (auto it = begin; it != end; ++it)
        join(*it->second, row);
    }
    return {};
  }
};

} // namespace fly::repo
