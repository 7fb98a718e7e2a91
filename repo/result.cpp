#include "fly/repo/result.hpp"

#include <charconv>
#include <type_traits>

#include "fly/actors/error.hpp"

namespace fly::repo {

namespace {

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

bool read(const std::string& text, std::string& value) {
  value = text;
  return true;
}

bool read(const std::string& text, bool& value) {
  value = text == "t" || text == "true";
  return value || text == "f" || text == "false";
}

template <class Number>
bool read(const std::string& text, Number& value) {
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  return code == std::errc{} && end == text.data() + text.size();
}

template <class T>
caf::expected<T> read_field(const std::optional<std::string>& field, const std::string& place) {
  if constexpr (is_optional<T>) {
    if (!field)
      return T{};
    auto value = read_field<typename T::value_type>(field, place);
    if (!value)
      return std::move(value.error());
    return T{std::move(*value)};
  } else {
    T value{};
    if (!field)
      return make_error(errc::invalid_argument, place + " is NULL");
    if (!read(*field, value))
      return make_error(errc::invalid_argument, place + " is not of the type asked for");
    return value;
  }
}

} // namespace

std::optional<std::size_t> result::column(std::string_view name) const {
  for (std::size_t i = 0; i < columns.size(); ++i)
    if (columns[i] == name)
      return i;
  return std::nullopt;
}

template <class T>
caf::expected<T> result::get(std::size_t row, std::size_t column) const {
  auto place = "row " + std::to_string(row) + ", column " + std::to_string(column);
  if (row >= rows.size() || column >= rows[row].size())
    return make_error(errc::invalid_argument, "the result has no " + place);
  return read_field<T>(rows[row][column], place);
}

template <class T>
using maybe = std::optional<T>;

template caf::expected<std::string> result::get(std::size_t, std::size_t) const;
template caf::expected<bool> result::get(std::size_t, std::size_t) const;
template caf::expected<std::int32_t> result::get(std::size_t, std::size_t) const;
template caf::expected<std::int64_t> result::get(std::size_t, std::size_t) const;
template caf::expected<std::uint64_t> result::get(std::size_t, std::size_t) const;
template caf::expected<double> result::get(std::size_t, std::size_t) const;
template caf::expected<maybe<std::string>> result::get(std::size_t, std::size_t) const;
template caf::expected<maybe<bool>> result::get(std::size_t, std::size_t) const;
template caf::expected<maybe<std::int32_t>> result::get(std::size_t, std::size_t) const;
template caf::expected<maybe<std::int64_t>> result::get(std::size_t, std::size_t) const;
template caf::expected<maybe<std::uint64_t>> result::get(std::size_t, std::size_t) const;
template caf::expected<maybe<double>> result::get(std::size_t, std::size_t) const;

} // namespace fly::repo
