#pragma once

#include <string>
#include <vector>

#include <caf/error.hpp>

#include "fly/repo/record.hpp"

namespace fly::repo {

/// A column as the catalogue has it.
struct catalogue_column {
  std::string name;
  std::string type; ///< pg_type.typname, of an array its element's; of domains that of their base.
  bool array = false;
  bool is_enum = false;
  bool not_null = false;
  bool has_default = false; ///< A default, its own or its domain's, an identity, or generated.
};

/// A table as the catalogue has it.
struct catalogue_table {
  bool there = false;
  bool view = false;    ///< Also a materialized one: nobody knows what of it may be NULL.
  bool foreign = false; ///< Nobody knows what of it is unique, which a view does not tell either.
  std::vector<catalogue_column> columns;
  /// The sets of columns that a unique index covers, each sorted: no partial or deferred ones.
  std::vector<std::vector<std::string>> unique;
};

/// Returns errc::invalid_argument that names all of a record that does not fit its table: the table
/// or a column that is not there, a type that is not the field's, NULL against optional, a key that
/// is not unique, a column that an insert would leave out and must not. Empty where all fits. PURE.
caf::error compare(const record_info& info, const catalogue_table& table);

/// The questions to the catalogue: for the columns (name, type, array, enum, not null, default,
/// view, foreign; NULLs but for the last two where a table has none) and the unique sets (one row
/// for each column: index, name). $1 is the table as `quoted_table` writes it.
extern const char* const catalogue_columns_query;
extern const char* const catalogue_unique_query;

} // namespace fly::repo
