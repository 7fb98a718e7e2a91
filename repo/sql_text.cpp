#include "fly/repo/sql_text.hpp"

#include <charconv>
#include <stdexcept>

namespace fly::repo {

namespace {

constexpr std::size_t shown_max = 60;

/// A text of the database within a message, of bounded length.
std::string shown(std::string_view text) {
  return "'" + std::string{text.substr(0, shown_max)} + (text.size() > shown_max ? "...'" : "'");
}

int digit_of(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

constexpr char digits[] = "0123456789abcdef";

template <class Real>
std::string write_real(Real value) {
  char text[128];
  return {text, std::to_chars(text, text + sizeof(text), value).ptr}; // also "inf" and "nan"
}

template <class Real>
std::string read_real(std::string_view text, Real& value) {
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code == std::errc{} && end == text.data() + text.size())
    return {};
  return "is " + shown(text) + ", not a number";
}

} // namespace

// -- uuid -----------------------------------------------------------------------------------------

std::optional<uuid> uuid::parse(std::string_view text) noexcept {
  constexpr std::size_t bare = 32;
  constexpr std::size_t hyphened = 36;
  if (text.size() != bare && text.size() != hyphened)
    return std::nullopt;
  uuid result;
  std::size_t count = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    bool gap = text.size() == hyphened && (i == 8 || i == 13 || i == 18 || i == 23);
    auto value = digit_of(text[i]);
    if (gap ? text[i] != '-' : value < 0)
      return std::nullopt;
    if (gap)
      continue;
    auto& byte = result.bytes[count / 2];
    byte = static_cast<std::uint8_t>(byte * 16 + value);
    ++count;
  }
  return result;
}

std::string to_string(const uuid& value) {
  std::string result;
  for (std::size_t i = 0; i < value.bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10)
      result += '-';
    result += digits[value.bytes[i] / 16];
    result += digits[value.bytes[i] % 16];
  }
  return result;
}

namespace sql {

// -- numbers --------------------------------------------------------------------------------------

std::string write_double(double value) {
  return write_real(value);
}

std::string write_float(float value) {
  return write_real(value);
}

std::string write_integer(std::int64_t value) {
  return std::to_string(value);
}

std::string read_double(std::string_view text, double& value) {
  return read_real(text, value);
}

std::string read_float(std::string_view text, float& value) {
  return read_real(text, value);
}

std::string read_integer(std::string_view text, std::int64_t min, std::int64_t max,
                         std::int64_t& value) {
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || code == std::errc::invalid_argument)
    return "is " + shown(text) + ", not an integer";
  if (code != std::errc{} || value < min || value > max)
    return "is " + shown(text) + ", not " + std::to_string(min) + " to " + std::to_string(max);
  return {};
}

std::string read_bool(std::string_view text, bool& value) {
  value = text == "t" || text == "true";
  if (value || text == "f" || text == "false")
    return {};
  return "is " + shown(text) + ", not a boolean";
}

// -- bytes and uuid -------------------------------------------------------------------------------

std::string write_bytes(std::span<const std::byte> value) {
  std::string result = "\\x";
  result.reserve(2 + value.size() * 2);
  for (auto it : value) {
    result += digits[std::to_integer<unsigned>(it) / 16];
    result += digits[std::to_integer<unsigned>(it) % 16];
  }
  return result;
}

std::string read_bytes(std::string_view text, std::vector<std::byte>& value) {
  value.clear();
  if (!text.starts_with("\\x") || text.size() % 2 != 0)
    return "is " + shown(text) + ", not bytes in hexadecimal (bytea_output = hex)";
  for (std::size_t i = 2; i < text.size(); i += 2) {
    auto high = digit_of(text[i]);
    auto low = digit_of(text[i + 1]);
    if (high < 0 || low < 0)
      return "is " + shown(text) + ", not bytes in hexadecimal (bytea_output = hex)";
    value.push_back(static_cast<std::byte>(high * 16 + low));
  }
  return {};
}

std::string read_uuid(std::string_view text, uuid& value) {
  auto read = uuid::parse(text);
  if (!read)
    return "is " + shown(text) + ", not a uuid";
  value = *read;
  return {};
}

// -- enumerations ---------------------------------------------------------------------------------

std::string unknown_name(std::string_view text, std::span<const std::string_view> known) {
  std::string result = "is " + shown(text) + ", not one of";
  for (auto it : known)
    result += (it.data() == known.front().data() ? " " : ", ") + std::string{it};
  return result;
}

void throw_nameless(std::int64_t value) {
  throw std::invalid_argument{"the enumeration has no name for " + std::to_string(value) +
                              " (enum_names)"};
}

std::string out_of_range(std::string_view text) {
  return "is " + shown(text) + ", which its type cannot hold";
}

// -- arrays ---------------------------------------------------------------------------------------

std::string write_array(const std::vector<element>& elements) {
  std::string result = "{";
  for (const auto& it : elements) {
    if (result.size() > 1)
      result += ',';
    if (!it) {
      result += "NULL";
      continue;
    }
    result += '"';
    for (char c : *it) {
      if (c == '"' || c == '\\')
        result += '\\';
      result += c;
    }
    result += '"';
  }
  return result += '}';
}

namespace {

/// Reads one element from `at`, up to the comma or brace behind it; false where it does not end.
bool read_one(std::string_view text, std::size_t& at, std::vector<element>& elements) {
  std::string value;
  bool quoted = text[at] == '"';
  if (quoted)
    ++at;
  for (; at < text.size(); ++at) {
    if (quoted ? text[at] == '"' : text[at] == ',' || text[at] == '}')
      break;
    if (text[at] == '{' && !quoted)
      return false;
    if (text[at] == '\\' && ++at == text.size())
      return false;
    value += text[at];
  }
  if (at == text.size())
    return false;
  if (quoted)
    ++at;
  else if (value.empty())
    return false;
  elements.push_back(!quoted && value == "NULL" ? element{} : element{std::move(value)});
  return true;
}

} // namespace

std::string read_array(std::string_view text, std::vector<element>& elements) {
  elements.clear();
  auto wrong = "is " + shown(text) + ", not an array of one dimension that begins at 1";
  if (text == "{}")
    return {};
  if (!text.starts_with('{'))
    return wrong;
  std::size_t at = 1;
  while (at < text.size()) {
    if (!read_one(text, at, elements) || at == text.size())
      return wrong;
    if (text[at] == '}')
      return at + 1 == text.size() ? std::string{} : wrong;
    if (text[at] != ',')
      return wrong;
    ++at;
  }
  return wrong;
}

} // namespace sql

} // namespace fly::repo
