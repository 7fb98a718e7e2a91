#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fly/repo/parameter.hpp"
#include "fly/repo/record.hpp"
#include "fly/repo/record_sql.hpp"

namespace fly::repo {

using columns = std::vector<const record_column*>;

/// Returns what `each` makes of the elements, with `between` between them.
template <class Range, class Each>
std::string list(const Range& range, Each each, std::string_view between = ", ") {
  std::string result;
  for (const auto& it : range) {
    if (!result.empty())
      result += between;
    result += each(it);
  }
  return result;
}

/// Returns the names of columns, quoted.
inline std::string names(const columns& which) {
  return list(which, [](const auto* it) { return ident(it->name); });
}

inline std::string all_columns(const record_info& info) {
  return list(info.columns, [](const auto& it) { return ident(it.name); });
}

/// Collects parameters while a statement is written.
class statement_writer {
public:
  explicit statement_writer(const record_info& info) : info_(info) {}

  /// Adds a value and returns its place, "$3".
  std::string add(parameter value) {
    statement_.parameters.push_back(std::move(value));
    return "$" + std::to_string(statement_.parameters.size());
  }

  std::string field(const record_column& column, const void* row) {
    return add(write_field(column, row));
  }

  std::string equal(const columns& which, const std::vector<parameter>& values) {
    std::size_t i = 0;
    return list(
        which,
        [&](const auto* it) {
          const auto& value = values[i++];
          return ident(it->name) + (value ? " = " + add(value) : " IS NULL");
        },
        " AND ");
  }

  std::string same_key(const columns& keys, const void* row) {
    std::vector<parameter> values;
    for (const auto* it : keys)
      values.push_back(write_field(*it, row));
    return equal(keys, values);
  }

  /// Returns the columns at `offsets`. Throws std::invalid_argument where there is none.
  columns at(const std::vector<std::size_t>& offsets) const {
    columns result;
    for (auto it : offsets) {
      result.push_back(info_.at(it));
      if (result.back() == nullptr)
        throw std::invalid_argument{"a field that was given is none of its columns"};
    }
    return result;
  }

  columns keys() const {
    auto result = info_.with(column_role::key);
    if (result.empty())
      throw std::invalid_argument{"it has no key"};
    return result;
  }

  sql_statement finish(std::string text, bool repeats = false) && {
    statement_.text = std::move(text);
    statement_.repeats = repeats;
    statement_.wrong = check_parameters(statement_.parameters);
    return std::move(statement_);
  }

private:
  const record_info& info_;
  sql_statement statement_;
};

} // namespace fly::repo
