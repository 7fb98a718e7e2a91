#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <caf/error.hpp>
#include <caf/expected.hpp>

#include "fly/repo/parameter.hpp"
#include "fly/repo/record.hpp"

namespace fly::repo {

/// Which rows of a table, in which order, and how many. The texts are SQL, of the programmer and
/// never of a user: what a user says is a parameter, $1 and on.
struct selection {
  std::string where{};                  ///< "count > $1 AND item = $2"; empty for all.
  std::string order_by{};               ///< "count DESC, id"; empty for none.
  std::optional<std::int64_t> limit{};  ///< 0 and more.
  std::optional<std::int64_t> offset{}; ///< 0 and more.
};

/// A statement with its parameters, or why it could not be made.
struct sql_statement {
  std::string text{};
  std::vector<parameter> parameters{};
  caf::error wrong{};
  bool repeats = false; ///< Whether its text depends on the record alone, and on fields chosen.
};

/// Values of the caller as parameters, or why one of them is none.
using given_parameters = caf::expected<std::vector<parameter>>;

// The statements of the verbs. PURE. Tables and columns are quoted, values are parameters. Each is
// wrong (errc::invalid_argument) where the record cannot be used, a field is none of its columns, a
// value has no text, or the record has no key where one is needed.

sql_statement select_rows(const record_info& info, const selection& which, given_parameters given);
sql_statement select_exists(const record_info& info, const std::string& where,
                            given_parameters given);
/// Of `function` ("count", "sum" ...) over the field at `offset`, or over all rows without one.
sql_statement select_aggregate(const record_info& info, std::string_view function,
                               std::optional<std::size_t> offset, const std::string& where,
                               given_parameters given);
/// Of the rows whose fields at `offsets` are `given`; NULL is equal to NULL.
sql_statement select_equal(const record_info& info, const std::vector<std::size_t>& offsets,
                           given_parameters given);
/// Of the row with this key.
sql_statement select_key(const record_info& info, given_parameters given);
/// Of the row that has the key of `row`.
sql_statement select_again(const record_info& info, const void* row);
/// Of the rows whose field at `offset` is one of `values`, by the database's own equality, which
/// may be another one than that of texts; each row ends with the place of its value, from 1 on.
sql_statement select_any(const record_info& info, std::size_t offset,
                         const std::vector<parameter>& values);

/// Each gives back the whole rows.
sql_statement insert_rows(const record_info& info, std::span<const void* const> rows);
/// Where a row with the same fields at `targets` (none: the key) is there, it gets the others.
sql_statement upsert_row(const record_info& info, const void* row,
                         const std::vector<std::size_t>& targets);
/// Sends the fields at `offsets` (none: all of role `column`).
sql_statement update_row(const record_info& info, const void* row,
                         const std::vector<std::size_t>& offsets);
sql_statement delete_row(const record_info& info, const void* row);

/// Each gives back a number of rows alone.
sql_statement update_rows(const record_info& info, const std::string& set, const std::string& where,
                          given_parameters given);
sql_statement delete_rows(const record_info& info, const std::string& where,
                          given_parameters given);

} // namespace fly::repo
