#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <caf/meta/type_name.hpp>

namespace fly::repo {

/// A value of PostgreSQL's type uuid. Made without one it is the nil uuid.
struct uuid {
  std::array<std::uint8_t, 16> bytes{};

  /// Reads 32 hexadecimal digits, of either case and with or without hyphens between the groups of
  /// 8-4-4-4-12; nothing for any other text.
  static std::optional<uuid> parse(std::string_view text) noexcept;

  bool is_nil() const noexcept { return *this == uuid{}; }

  friend auto operator<=>(const uuid&, const uuid&) = default;
};

/// Returns "123e4567-e89b-12d3-a456-426614174000".
std::string to_string(const uuid& value);

/// A value of PostgreSQL's type numeric, as its decimal text: "12.50", "-0.001", "NaN". No
/// arithmetic; `==` compares the text, so that "1.0" is not "1".
struct numeric {
  std::string text = "0";

  numeric() = default;
  explicit numeric(std::string text) : text(std::move(text)) {}

  friend bool operator==(const numeric&, const numeric&) = default;
};

/// A value of PostgreSQL's types json and jsonb, as its text, for a JSON library of your choice.
/// What is no JSON is refused by the database (SQLSTATE 22P02). jsonb gives the text back in its
/// own form: sorted keys, other spaces.
struct json {
  std::string text = "null";

  json() = default;
  explicit json(std::string text) : text(std::move(text)) {}

  friend bool operator==(const json&, const json&) = default;
};

template <class Inspector>
auto inspect(Inspector& f, uuid& x) {
  return f(caf::meta::type_name("fly::repo::uuid"), x.bytes);
}

template <class Inspector>
auto inspect(Inspector& f, numeric& x) {
  return f(caf::meta::type_name("fly::repo::numeric"), x.text);
}

template <class Inspector>
auto inspect(Inspector& f, json& x) {
  return f(caf::meta::type_name("fly::repo::json"), x.text);
}

} // namespace fly::repo
