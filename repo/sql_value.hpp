#pragma once

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "fly/repo/sql_text.hpp"
#include "fly/repo/sql_types.hpp"

namespace fly::repo {

/// How values of T are written for PostgreSQL and read back, as text:
///
///     static constexpr std::string_view types = "int8";           // pg_type.typname, by spaces
///     static std::string write(const T& value);                   // may throw invalid_argument
///     static std::string read(std::string_view text, T& value);   // "" or what is wrong
///
/// Specialize it for a type of your own, such as a name around a string. There are ones for bool,
/// signed integers of 16, 32 and 64 bits, float, double, std::string, std::vector<std::byte>,
/// std::chrono::sys_time (timestamptz), std::chrono::local_time (timestamp),
/// std::chrono::year_month_day (date), uuid, numeric, json, enumerations, and std::vector of all
/// these (arrays). NULL is std::optional.
template <class T>
struct sql_value;

/// The names of an enumeration, to be specialized for one that is kept as text or as an enum type
/// of the database; without them it is kept as an integer:
///
///     template <>
///     inline constexpr std::pair<shop::state, std::string_view>
///     fly::repo::enum_names<shop::state>[]
///         = {{shop::state::open, "open"}, {shop::state::paid, "paid"}};
template <class E>
inline constexpr std::nullptr_t enum_names = nullptr;

/// What can be a value of a statement by its own type.
template <class T>
concept has_sql_value = requires(const T& value) {
  { sql_value<T>::write(value) } -> std::convertible_to<std::string>;
};

template <>
struct sql_value<bool> {
  static constexpr std::string_view types = "bool";
  static std::string write(bool value) { return value ? "true" : "false"; }
  static std::string read(std::string_view text, bool& value) {
    return sql::read_bool(text, value);
  }
};

template <class T>
concept sql_integer = std::signed_integral<T> && sizeof(T) >= 2 && !std::same_as<T, wchar_t>;

template <sql_integer T>
struct sql_value<T> {
  static constexpr std::string_view types = sizeof(T) == 2   ? "int2"
                                            : sizeof(T) == 4 ? "int4"
                                                             : "int8";
  static std::string write(T value) { return sql::write_integer(value); }
  static std::string read(std::string_view text, T& value) {
    std::int64_t wide = 0;
    auto wrong =
        sql::read_integer(text, std::numeric_limits<T>::min(), std::numeric_limits<T>::max(), wide);
    value = static_cast<T>(wide);
    return wrong;
  }
};

template <>
struct sql_value<double> {
  static constexpr std::string_view types = "float8";
  static std::string write(double value) { return sql::write_double(value); }
  static std::string read(std::string_view text, double& value) {
    return sql::read_double(text, value);
  }
};

template <>
struct sql_value<float> {
  static constexpr std::string_view types = "float4";
  static std::string write(float value) { return sql::write_float(value); }
  static std::string read(std::string_view text, float& value) {
    return sql::read_float(text, value);
  }
};

/// Also fits an enum type of the database.
template <>
struct sql_value<std::string> {
  static constexpr std::string_view types = "text varchar bpchar name citext enum";
  static std::string write(std::string value) { return value; }
  static std::string read(std::string_view text, std::string& value) {
    value = text;
    return {};
  }
};

template <>
struct sql_value<std::vector<std::byte>> {
  static constexpr std::string_view types = "bytea";
  static std::string write(std::span<const std::byte> value) { return sql::write_bytes(value); }
  static std::string read(std::string_view text, std::vector<std::byte>& value) {
    return sql::read_bytes(text, value);
  }
};

/// The database keeps microseconds: what is finer, there or in the type, is cut off, to the past.
/// "infinity" and what the type cannot hold (time_point: 1677 to 2262) cannot be read.
template <class Duration>
struct sql_value<std::chrono::sys_time<Duration>> {
  static constexpr std::string_view types = "timestamptz";
  static std::string write(std::chrono::sys_time<Duration> value) {
    return sql::write_time(sql::to_microseconds(value));
  }
  static std::string read(std::string_view text, std::chrono::sys_time<Duration>& value) {
    sql::microseconds exact;
    auto wrong = sql::read_time(text, exact);
    return wrong.empty() ? sql::from_microseconds(exact, text, value) : wrong;
  }
};

/// The same of a timestamp without time zone: what a clock on some wall shows.
template <class Duration>
struct sql_value<std::chrono::local_time<Duration>> {
  static constexpr std::string_view types = "timestamp";
  static std::string write(std::chrono::local_time<Duration> value) {
    return sql::write_local_time(
        sql::to_microseconds(std::chrono::sys_time<Duration>{value.time_since_epoch()}));
  }
  static std::string read(std::string_view text, std::chrono::local_time<Duration>& value) {
    sql::microseconds exact;
    std::chrono::sys_time<Duration> read{};
    auto wrong = sql::read_local_time(text, exact);
    wrong = wrong.empty() ? sql::from_microseconds(exact, text, read) : wrong;
    value = std::chrono::local_time<Duration>{read.time_since_epoch()};
    return wrong;
  }
};

template <>
struct sql_value<std::chrono::year_month_day> {
  static constexpr std::string_view types = "date";
  static std::string write(std::chrono::year_month_day value) { return sql::write_date(value); }
  static std::string read(std::string_view text, std::chrono::year_month_day& value) {
    return sql::read_date(text, value);
  }
};

template <>
struct sql_value<uuid> {
  static constexpr std::string_view types = "uuid";
  static std::string write(const uuid& value) { return to_string(value); }
  static std::string read(std::string_view text, uuid& value) {
    return sql::read_uuid(text, value);
  }
};

template <>
struct sql_value<numeric> {
  static constexpr std::string_view types = "numeric";
  static std::string write(const numeric& value) { return value.text; }
  static std::string read(std::string_view text, numeric& value) {
    value.text = text;
    return {};
  }
};

template <>
struct sql_value<json> {
  static constexpr std::string_view types = "json jsonb";
  static std::string write(const json& value) { return value.text; }
  static std::string read(std::string_view text, json& value) {
    value.text = text;
    return {};
  }
};

template <class E>
requires std::is_enum_v<E>
struct sql_value<E> {
  static constexpr bool named = std::is_array_v<std::remove_cvref_t<decltype(enum_names<E>)>>;
  using number = std::make_signed_t<
      std::conditional_t<(sizeof(E) < 2), std::int16_t, std::underlying_type_t<E>>>;
  static constexpr std::string_view types =
      named ? sql_value<std::string>::types : sql_value<number>::types;

  static std::string write(E value) {
    if constexpr (!named) {
      return sql::write_integer(static_cast<std::int64_t>(value));
    } else {
      for (const auto& [known, name] : enum_names<E>)
        if (known == value)
          return std::string{name};
      sql::throw_nameless(static_cast<std::int64_t>(value));
    }
  }

  static std::string read(std::string_view text, E& value) {
    if constexpr (!named) {
      using under = std::numeric_limits<std::underlying_type_t<E>>;
      constexpr auto most = static_cast<std::uint64_t>(under::max());
      std::int64_t wide = 0;
      auto wrong = sql::read_integer(
          text, static_cast<std::int64_t>(under::min()),
          static_cast<std::int64_t>(std::min<std::uint64_t>(most, INT64_MAX)), wide);
      value = static_cast<E>(wide);
      return wrong;
    } else {
      std::vector<std::string_view> names;
      for (const auto& [known, name] : enum_names<E>) {
        if (name == text) {
          value = known;
          return {};
        }
        names.push_back(name);
      }
      return sql::unknown_name(text, names);
    }
  }
};

namespace sql {

template <class T>
struct element_of {
  using type = T;
  static constexpr bool nullable = false;
};
template <class T>
struct element_of<std::optional<T>> {
  using type = T;
  static constexpr bool nullable = true;
};

template <class T>
inline constexpr bool is_array = false;
template <class T>
inline constexpr bool is_array<std::vector<T>> = !std::is_same_v<T, std::byte>;

/// Returns how a value is NULL or its text.
template <class T>
element write_element(const T& value) {
  if constexpr (element_of<T>::nullable)
    return value ? element{sql_value<typename element_of<T>::type>::write(*value)} : std::nullopt;
  else
    return sql_value<T>::write(value);
}

/// Reads NULL or a text.
template <class T>
std::string read_element(const std::optional<std::string_view>& text, T& value) {
  using plain = typename element_of<T>::type;
  if constexpr (element_of<T>::nullable) {
    value.reset();
    return text ? sql_value<plain>::read(*text, value.emplace()) : std::string{};
  } else {
    return text ? sql_value<plain>::read(*text, value) : std::string{"is NULL"};
  }
}

} // namespace sql

/// Arrays of one dimension; std::vector<std::optional<T>> where an element may be NULL.
template <class T>
struct sql_value<std::vector<T>> {
  static constexpr std::string_view types = sql_value<typename sql::element_of<T>::type>::types;
  static std::string write(const std::vector<T>& value) {
    std::vector<sql::element> elements;
    elements.reserve(value.size());
    for (const T& it : value)
      elements.push_back(sql::write_element<T>(it));
    return sql::write_array(elements);
  }

  static std::string read(std::string_view text, std::vector<T>& value) {
    std::vector<sql::element> elements;
    if (auto wrong = sql::read_array(text, elements); !wrong.empty())
      return wrong;
    value.clear();
    for (std::size_t i = 0; i < elements.size(); ++i) {
      T one{};
      if (auto wrong = sql::read_element<T>(elements[i], one); !wrong.empty())
        return "element " + std::to_string(i + 1) + " " + wrong;
      value.push_back(std::move(one));
    }
    return {};
  }
};

} // namespace fly::repo
