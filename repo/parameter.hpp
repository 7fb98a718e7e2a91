#pragma once

#include <charconv>
#include <concepts>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <caf/error.hpp>

#include "fly/repo/sql_value.hpp"

namespace fly::repo {

/// A parameter of a statement as PostgreSQL reads it; nothing is NULL.
using parameter = std::optional<std::string>;

inline parameter to_parameter(std::string_view text) {
  return std::string{text};
}

inline parameter to_parameter(std::nullptr_t) {
  return std::nullopt;
}

/// Of bool alone: a string literal would become one otherwise.
template <std::same_as<bool> Bool>
parameter to_parameter(Bool value) {
  return value ? "true" : "false";
}

template <std::same_as<char> Char>
parameter to_parameter(Char value) {
  return std::string(1, value);
}

template <class T>
concept number = (std::integral<T> || std::floating_point<T>)&&!std::same_as<T, bool> &&
                 !std::same_as<T, char>;

/// Numbers travel with all their digits.
template <number Number>
parameter to_parameter(Number value) {
  char text[128];
  auto end = std::to_chars(text, text + sizeof(text), value).ptr;
  return std::string{text, end};
}

/// What is none of these: times, uuid, arrays and the rest of sql_value.hpp. May throw
/// std::invalid_argument, for a value that has no text.
template <class T>
requires has_sql_value<T> &&
    (!number<T>)&&(!std::same_as<T, bool>)&&(!std::convertible_to<const T&, std::string_view>) //
    parameter to_parameter(const T& value) {
  return sql_value<T>::write(value);
}

template <class T>
parameter to_parameter(const std::optional<T>& value) {
  return value ? to_parameter(*value) : std::nullopt;
}

/// Most parameters of one statement, by PostgreSQL's protocol.
inline constexpr std::size_t parameters_max = 65'535;

/// Returns errc::invalid_argument where a parameter has a zero byte, or there are too many.
caf::error check_parameters(const std::vector<parameter>& given);

/// Throws `failure` with errc::invalid_argument where a zero byte would end the statement, or one
/// of its parameters, before its end: libpq takes texts that end there, and what is behind it would
/// be left out without a word.
void must_be_texts(const std::string& sql, const std::vector<parameter>& given);

/// Turns the arguments of a statement into its parameters, $1 and on.
template <class... Ts>
std::vector<parameter> to_parameters(const Ts&... values) {
  return {to_parameter(values)...};
}

} // namespace fly::repo
