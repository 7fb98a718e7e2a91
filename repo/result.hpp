#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <caf/expected.hpp>
#include <caf/meta/type_name.hpp>

namespace fly::repo {

/// The rows that a statement gave back, all as PostgreSQL's text. A value; it travels.
struct result {
  /// Names of the columns, in order.
  std::vector<std::string> columns;
  /// Each row has one field for each column; nothing is NULL.
  std::vector<std::vector<std::optional<std::string>>> rows;
  /// How many rows the statement inserted, updated, deleted or selected.
  std::uint64_t affected_rows = 0;

  std::size_t size() const noexcept { return rows.size(); }
  bool empty() const noexcept { return rows.empty(); }

  /// Returns the place of the column `name`; nothing where there is none.
  std::optional<std::size_t> column(std::string_view name) const;

  /// Returns a field as T: std::string, bool, std::int32_t, std::int64_t, std::uint64_t, double, or
  /// std::optional of one of them, which alone takes NULL.
  /// Errors: errc::invalid_argument, no such row or column, NULL, or not a T.
  template <class T>
  caf::expected<T> get(std::size_t row, std::size_t column) const;

  template <class T>
  caf::expected<T> get(std::size_t row, std::string_view name) const {
    return get<T>(row, column(name).value_or(columns.size()));
  }

  friend bool operator==(const result&, const result&) = default;
};

template <class Inspector>
auto inspect(Inspector& f, result& x) {
  return f(caf::meta::type_name("fly::repo::result"), x.columns, x.rows, x.affected_rows);
}

} // namespace fly::repo
