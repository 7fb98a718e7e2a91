#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>

#include "fly/repo/record.hpp"

namespace fly::repo {

/// One of SQL's aggregates over the rows of T, which gives an R: what `aggregate` takes.
template <class T, class R>
struct aggregate_of {
  std::string_view function;
  std::optional<std::size_t> offset; ///< Of the field in T; nothing for whole rows.
};

namespace detail {

template <class Field>
using sum_type =
    std::conditional_t<sql_integer<Field>,
                       std::conditional_t<sizeof(Field) == 8, numeric, std::int64_t>, Field>;

template <class Field>
using mean_type = std::conditional_t<std::floating_point<Field>, double, numeric>;

template <class Field>
using plain_type = typename sql::element_of<Field>::type;

} // namespace detail

/// The number of rows.
template <mapped T>
aggregate_of<T, std::int64_t> count() {
  return {"count", std::nullopt};
}

/// The number of rows where the field is not NULL.
template <mapped T, class Field>
aggregate_of<T, std::int64_t> count(Field T::*field) {
  return {"count", detail::offset_of(field)};
}

/// The sum; nothing over no rows. Of 64-bit integers it is a `numeric`, as in PostgreSQL.
template <mapped T, class Field>
aggregate_of<T, std::optional<detail::sum_type<detail::plain_type<Field>>>> sum(Field T::*field) {
  return {"sum", detail::offset_of(field)};
}

/// The smallest value; nothing over no rows.
template <mapped T, class Field>
aggregate_of<T, std::optional<detail::plain_type<Field>>> min(Field T::*field) {
  return {"min", detail::offset_of(field)};
}

/// The largest value; nothing over no rows.
template <mapped T, class Field>
aggregate_of<T, std::optional<detail::plain_type<Field>>> max(Field T::*field) {
  return {"max", detail::offset_of(field)};
}

/// The mean; nothing over no rows. Of integers it is a `numeric`, as in PostgreSQL.
template <mapped T, class Field>
aggregate_of<T, std::optional<detail::mean_type<detail::plain_type<Field>>>> avg(Field T::*field) {
  return {"avg", detail::offset_of(field)};
}

} // namespace fly::repo
