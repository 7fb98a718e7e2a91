#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
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
std::string write_date(std::chrono::year_month_day value);
std::string read_date(std::string_view text, std::chrono::year_month_day& value);
std::string out_of_range(std::string_view text);

/// Writes elements as an array of PostgreSQL, "{a,NULL,\"b c\"}", and reads them.
using element = std::optional<std::string>;
std::string write_array(const std::vector<element>& elements);
std::string read_array(std::string_view text, std::vector<element>& elements);

std::string unknown_name(std::string_view text, std::span<const std::string_view> known);
[[noreturn]] void throw_nameless(std::int64_t value);

} // namespace fly::repo::sql
