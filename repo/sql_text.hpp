#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <ratio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fly/repo/sql_types.hpp"

namespace fly::repo::sql {

// Values as PostgreSQL's text, and back; `read_` returns "" or what is wrong.

std::string write_double(double value);
std::string write_float(float value);
std::string write_integer(std::int64_t value);
std::string read_double(std::string_view text, double& value);
std::string read_float(std::string_view text, float& value);
std::string read_integer(std::string_view text, std::int64_t min, std::int64_t max,
                         std::int64_t& value);
std::string read_bool(std::string_view text, bool& value);
std::string write_bytes(std::span<const std::byte> value);
std::string read_bytes(std::string_view text, std::vector<std::byte>& value);
std::string read_uuid(std::string_view text, uuid& value);

using microseconds = std::chrono::sys_time<std::chrono::microseconds>;
std::string write_time(microseconds value);
std::string read_time(std::string_view text, microseconds& value);
std::string write_local_time(microseconds value);
std::string read_local_time(std::string_view text, microseconds& value);
std::string write_date(std::chrono::year_month_day value);
std::string read_date(std::string_view text, std::chrono::year_month_day& value);
std::string out_of_range(std::string_view text);

/// The microsecond that `value` is in; of a type with a longer range the last one that there is.
template <class Duration>
microseconds to_microseconds(std::chrono::sys_time<Duration> value) {
  if constexpr (std::ratio_greater_v<typename Duration::period, std::micro>)
    value = std::clamp(value, std::chrono::ceil<Duration>(microseconds::min()),
                       std::chrono::floor<Duration>(microseconds::max()));
  return std::chrono::floor<std::chrono::microseconds>(value);
}

/// The reverse, of what was read from `text`.
template <class Duration>
std::string from_microseconds(microseconds exact, std::string_view text,
                              std::chrono::sys_time<Duration>& value) {
  using whole = std::chrono::sys_time<Duration>;
  if constexpr (std::ratio_less_v<typename Duration::period, std::micro>) {
    if (exact == std::chrono::floor<std::chrono::microseconds>(whole::min())) {
      value = whole::min(); // what `to_microseconds` makes of it
      return {};
    }
    if (exact < std::chrono::ceil<std::chrono::microseconds>(whole::min()) ||
        exact > std::chrono::floor<std::chrono::microseconds>(whole::max()))
      return out_of_range(text);
  }
  value = std::chrono::floor<Duration>(exact);
  return {};
}

/// Writes elements as an array of PostgreSQL, "{a,NULL,\"b c\"}", and reads them.
using element = std::optional<std::string>;
std::string write_array(const std::vector<element>& elements);
std::string read_array(std::string_view text, std::vector<element>& elements);

std::string unknown_name(std::string_view text, std::span<const std::string_view> known);
[[noreturn]] void throw_nameless(std::int64_t value);

} // namespace fly::repo::sql
