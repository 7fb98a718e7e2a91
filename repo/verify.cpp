#include "fly/repo/verify.hpp"

#include <algorithm>
#include <string_view>

#include "fly/actors/error.hpp"
#include "fly/repo/database.hpp"
#include "fly/repo/within.hpp"

namespace fly::repo {

const char* const catalogue_columns_query = R"(
WITH RECURSIVE domains (id, base, not_null, has_default) AS (
  SELECT oid, typbasetype, typnotnull, typdefault IS NOT NULL FROM pg_type WHERE typtype = 'd'
  UNION ALL
  SELECT id, typbasetype, not_null OR typnotnull, has_default OR typdefault IS NOT NULL
  FROM domains JOIN pg_type ON oid = base WHERE typtype = 'd'
), plain AS (
  SELECT domains.* FROM domains JOIN pg_type ON oid = base WHERE typtype <> 'd'
)
SELECT a.attname, coalesce(element.typname, base.typname), element.oid IS NOT NULL,
  coalesce(element.typtype, base.typtype) = 'e', a.attnotnull OR coalesce(own.not_null, false),
  a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> '' OR coalesce(own.has_default, false),
  wanted.relkind IN ('v', 'm'), wanted.relkind = 'f'
FROM pg_class wanted
LEFT JOIN pg_attribute a ON a.attrelid = wanted.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN plain own ON own.id = a.atttypid
LEFT JOIN pg_type base ON base.oid = coalesce(own.base, a.atttypid)
LEFT JOIN plain part ON part.id = base.typelem
LEFT JOIN pg_type element ON base.typcategory = 'A'
  AND element.oid = coalesce(part.base, base.typelem)
WHERE wanted.oid = to_regclass($1)
ORDER BY a.attnum)";

const char* const catalogue_unique_query = R"(
SELECT i.indexrelid::text, a.attname
FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid
  AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indimmediate AND i.indisvalid
  AND i.indpred IS NULL AND i.indexprs IS NULL
ORDER BY i.indexrelid, a.attname)";

namespace {

bool has_word(std::string_view words, std::string_view word) {
  while (!words.empty()) {
    auto end = std::min(words.find(' '), words.size());
    if (words.substr(0, end) == word)
      return true;
    words.remove_prefix(std::min(end + 1, words.size()));
  }
  return false;
}

std::string shown_type(const catalogue_column& column) {
  return column.type + (column.array ? "[]" : "");
}

/// Says what of one field does not fit its column; empty where it does.
std::string misfit(const record_column& field, const catalogue_column& column, bool view) {
  const auto& type = *field.type;
  bool fits = has_word(type.types, column.type) || (column.is_enum && has_word(type.types, "enum"));
  if (!fits || type.array != column.array) {
    std::string wanted{type.types};
    std::replace(wanted.begin(), wanted.end(), ' ', '|');
    return "column " + column.name + " is " + shown_type(column) + ", the field " + field.field +
           " wants " + wanted + (type.array ? "[]" : "");
  }
  if (!column.not_null && !type.nullable && !view)
    return "column " + column.name + " may be NULL, the field " + field.field + " is not optional";
  if (column.not_null && type.nullable && field.role != column_role::generated)
    return "column " + column.name + " is NOT NULL, the field " + field.field + " is optional";
  return {};
}

/// Returns whether a unique index is on the key's columns, no more and no less.
bool key_is_unique(const record_info& info, const catalogue_table& table) {
  std::vector<std::string> names;
  for (const auto* it : info.with(column_role::key))
    names.push_back(it->name);
  std::sort(names.begin(), names.end());
  return names.empty() ||
         std::find(table.unique.begin(), table.unique.end(), names) != table.unique.end();
}

class complaints {
public:
  void add(const std::string& text) {
    if (!text.empty())
      text_ += (text_.empty() ? "" : "; ") + text;
  }

  caf::error as_error(const record_info& info) const {
    if (text_.empty())
      return {};
    return make_error(errc::invalid_argument,
                      "the record " + info.type + " does not fit " + info.shown() + ": " + text_);
  }

private:
  std::string text_;
};

} // namespace

caf::error compare(const record_info& info, const catalogue_table& table) {
  complaints all;
  all.add(info.wrong);
  if (!table.there) {
    all.add("there is no such table");
    return all.as_error(info);
  }
  for (const auto& field : info.columns) {
    auto it = std::find_if(table.columns.begin(), table.columns.end(),
                           [&](const auto& column) { return column.name == field.name; });
    all.add(it == table.columns.end() ? "there is no column " + field.name
                                      : misfit(field, *it, table.view));
  }
  for (const auto& column : table.columns) {
    auto it = std::find_if(info.columns.begin(), info.columns.end(),
                           [&](const auto& field) { return field.name == column.name; });
    bool sent = it != info.columns.end() && it->role != column_role::generated;
    if (!sent && column.not_null && !column.has_default)
      all.add("column " + column.name +
              " is NOT NULL without a default, and insert does not send it");
  }
  if (!table.view && !table.foreign && !key_is_unique(info, table))
    all.add("no unique index is on the columns of the key alone");
  return all.as_error(info);
}

namespace detail {

caf::error verify(const bound_database& db, const record_info& info) {
  catalogue_table table;
  auto name = quoted_table(info);
  auto outcome = db.read([&](pqxx::transaction_base& tx) -> caf::error {
    within rows{tx};
    auto columns = rows.query(catalogue_columns_query, name);
    auto unique = rows.query(catalogue_unique_query, name);
    if (!columns || !unique)
      return columns ? unique.error() : columns.error();
    table.there = !columns->empty();
    for (const auto& it : columns->rows) {
      table.view = it[6] == "t";
      table.foreign = it[7] == "t";
      if (it[0])
        table.columns.push_back(
            {*it[0], *it[1], it[2] == "t", it[3] == "t", it[4] == "t", it[5] == "t"});
    }
    std::string index;
    for (const auto& it : unique->rows) {
      if (*it[0] != index)
        table.unique.emplace_back();
      index = *it[0];
      table.unique.back().push_back(*it[1]);
    }
    return {};
  });
  return outcome ? compare(info, table) : outcome.error();
}

} // namespace detail

} // namespace fly::repo
