#include "fly/repo/sql_text.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <stdexcept>

namespace fly::repo::sql {

namespace {

using namespace std::chrono;

/// Reads what PostgreSQL writes with DateStyle ISO, from left to right.
class reader {
public:
  explicit reader(std::string_view text) : text_(text) {}

  bool take(char c) {
    if (!text_.starts_with(c))
      return false;
    text_.remove_prefix(1);
    return true;
  }

  bool take(std::string_view word) {
    if (!text_.starts_with(word))
      return false;
    text_.remove_prefix(word.size());
    return true;
  }

  /// Takes a number of `min` to `max` digits.
  bool number(std::size_t min, std::size_t max, int& value) {
    std::size_t length = 0;
    while (length < text_.size() && length < max && text_[length] >= '0' && text_[length] <= '9')
      ++length;
    if (length < min)
      return false;
    std::from_chars(text_.data(), text_.data() + length, value);
    text_.remove_prefix(length);
    return true;
  }

  /// Takes the digits after a point, as microseconds.
  bool fraction(int& value) {
    auto before = text_.size();
    if (!number(1, 6, value))
      return false;
    for (auto taken = before - text_.size(); taken < 6; ++taken)
      value *= 10;
    return true;
  }

  bool at_end() const { return text_.empty(); }

private:
  std::string_view text_;
};

struct civil {
  int year = 0;
  int month = 0;
  int day = 0;
};

bool read_civil(reader& from, civil& value) {
  return from.number(4, 6, value.year) && from.take('-') && from.number(2, 2, value.month) &&
         from.take('-') && from.number(2, 2, value.day);
}

bool read_era(reader& from, civil& value) {
  if (from.take(" BC"))
    value.year = 1 - value.year; // there is no year 0
  return from.at_end();
}

/// Days since 1970 of any year; std::chrono::year ends at 32767. (The Gregorian calendar repeats
/// after 400 years of 146,097 days.)
std::int64_t days_since_epoch(civil at) {
  auto cycles = at.year >= 0 ? at.year / 400 : -((399 - at.year) / 400);
  year_month_day within{year{at.year - cycles * 400}, month{static_cast<unsigned>(at.month)},
                        day{static_cast<unsigned>(at.day)}};
  return sys_days{within}.time_since_epoch().count() + std::int64_t{cycles} * 146'097;
}

/// The reverse of `days_since_epoch`.
civil civil_of(std::int64_t days) {
  auto cycles = days >= 0 ? days / 146'097 : -((146'096 - days) / 146'097);
  year_month_day within{sys_days{std::chrono::days{days - cycles * 146'097}}};
  return {static_cast<int>(within.year()) + static_cast<int>(cycles) * 400,
          static_cast<int>(static_cast<unsigned>(within.month())),
          static_cast<int>(static_cast<unsigned>(within.day()))};
}

std::string text_of(civil at) {
  char text[48];
  auto shown = at.year > 0 ? at.year : 1 - at.year;
  std::snprintf(text, sizeof(text), "%04d-%02d-%02d", shown, at.month, at.day);
  return text;
}

const char* era_of(civil at) {
  return at.year > 0 ? "" : " BC";
}

/// UTC, which stands before the era.
std::string with_offset(std::string text) {
  auto era = text.find(" BC");
  return text.insert(std::min(era, text.size()), "+00");
}

std::string not_a(std::string_view what, std::string_view text) {
  return "is '" + std::string{text.substr(0, 60)} + "', not " + std::string{what} +
         " (DateStyle = ISO)";
}

/// "+05:30", "-03", "+01:19:32".
bool read_offset(reader& from, seconds& value) {
  int sign = from.take('+') ? 1 : from.take('-') ? -1 : 0;
  int hour = 0;
  int minute = 0;
  int second = 0;
  if (sign == 0 || !from.number(2, 2, hour))
    return false;
  if (from.take(':') && !from.number(2, 2, minute))
    return false;
  if (from.take(':') && !from.number(2, 2, second))
    return false;
  value = sign * (hours{hour} + minutes{minute} + seconds{second});
  return true;
}

} // namespace

std::string write_local_time(microseconds value) {
  value = std::max(value, microseconds::min() + days{1}); // whose midnight can be told
  auto midnight = floor<days>(value);
  hh_mm_ss<std::chrono::microseconds> clock{value - midnight};
  auto at = civil_of(midnight.time_since_epoch().count());
  char text[48];
  std::snprintf(text, sizeof(text), " %02d:%02d:%02d.%06d", static_cast<int>(clock.hours().count()),
                static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()),
                static_cast<int>(clock.subseconds().count()));
  return text_of(at) + text + era_of(at);
}

std::string write_time(microseconds value) {
  return with_offset(write_local_time(value));
}

namespace {

/// Reads a time, with an offset or without.
std::string read_any_time(std::string_view text, bool has_offset, microseconds& value) {
  if (text == "infinity" || text == "-infinity")
    return out_of_range(text);
  reader from{text};
  civil at;
  int hour = 0;
  int minute = 0;
  int second = 0;
  int fraction = 0;
  seconds offset{0};
  bool good = read_civil(from, at) && from.take(' ') && from.number(2, 2, hour) && from.take(':') &&
              from.number(2, 2, minute) && from.take(':') && from.number(2, 2, second) &&
              (!from.take('.') || from.fraction(fraction)) &&
              (!has_offset || read_offset(from, offset)) && read_era(from, at);
  if (!good)
    return not_a(has_offset ? "a timestamp with time zone" : "a timestamp without time zone", text);
  auto whole =
      hours{24} * days_since_epoch(at) + hours{hour} + minutes{minute} + seconds{second} - offset;
  // Whole seconds first: the product may be more than 64 bits hold.
  constexpr auto most = floor<seconds>(microseconds::max().time_since_epoch());
  if (whole >= most || whole <= -most)
    return out_of_range(text);
  value = microseconds{whole + std::chrono::microseconds{fraction}};
  return {};
}

} // namespace

std::string read_time(std::string_view text, microseconds& value) {
  return read_any_time(text, true, value);
}

std::string read_local_time(std::string_view text, microseconds& value) {
  return read_any_time(text, false, value);
}

std::string write_date(year_month_day value) {
  if (!value.ok())
    throw std::invalid_argument{"the date does not exist"};
  civil at{static_cast<int>(value.year()), static_cast<int>(static_cast<unsigned>(value.month())),
           static_cast<int>(static_cast<unsigned>(value.day()))};
  return text_of(at) + era_of(at);
}

std::string read_date(std::string_view text, year_month_day& value) {
  if (text == "infinity" || text == "-infinity")
    return out_of_range(text);
  reader from{text};
  civil at;
  // The era follows at once.
  if (!(from.number(4, 7, at.year) && from.take('-') && from.number(2, 2, at.month) &&
        from.take('-') && from.number(2, 2, at.day) && read_era(from, at)))
    return not_a("a date", text);
  if (at.year < static_cast<int>(year::min()) || at.year > static_cast<int>(year::max()))
    return out_of_range(text);
  value = year{at.year} / at.month / at.day;
  return {};
}

} // namespace fly::repo::sql
