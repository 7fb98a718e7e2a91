#include "fly/repo/record.hpp"

#include <algorithm>

#include "fly/actors/error.hpp"

namespace fly::repo {

namespace {

/// PostgreSQL cuts longer names off without a word (NAMEDATALEN - 1).
constexpr std::size_t name_bytes_max = 63;

std::string wrong_name(std::string_view what, std::string_view name) {
  if (name.empty())
    return std::string{what} + " has an empty name";
  if (name.size() > name_bytes_max)
    return std::string{what} + " " + std::string{name} + " has a name of " +
           std::to_string(name.size()) + " bytes, more than " + std::to_string(name_bytes_max);
  return {};
}

/// Takes the first name off `text`; quoted ones may have dots inside. False where a quote does not
/// end.
bool take_name(std::string_view& text, std::string& name) {
  if (!text.starts_with('"')) {
    auto end = std::min(text.find('.'), text.size());
    name = text.substr(0, end);
    text.remove_prefix(end);
    return true;
  }
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"' && (i + 1 == text.size() || text[i + 1] != '"')) {
      text.remove_prefix(i + 1);
      return true;
    }
    i += text[i] == '"';
    name += text[i];
  }
  return false;
}

/// Splits "table" or "schema.table".
std::string read_table(std::string_view text, record_info& info) {
  std::string given{text};
  if (!take_name(text, info.table))
    return "the table " + given + " has a quote that does not end";
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    info.schema = std::exchange(info.table, {});
    if (auto wrong = wrong_name("the schema", info.schema); !wrong.empty())
      return wrong;
    if (!take_name(text, info.table))
      return "the table " + given + " has a quote that does not end";
  }
  if (!text.empty())
    return "the table " + given + " is not \"table\" or \"schema.table\"";
  return wrong_name("the table", info.table);
}

} // namespace

const record_column* record_info::at(std::size_t offset) const {
  auto it = std::find_if(columns.begin(), columns.end(),
                         [&](const auto& each) { return each.offset == offset; });
  return it == columns.end() ? nullptr : &*it;
}

std::vector<const record_column*> record_info::with(column_role role) const {
  std::vector<const record_column*> result;
  for (const auto& it : columns)
    if (it.role == role)
      result.push_back(&it);
  return result;
}

bool record_info::wants_key(const void* row) const {
  auto keys = with(column_role::key);
  if (keys.size() != 1 || !keys.front()->type->countable)
    return false;
  return keys.front()->type->is_zero(static_cast<const char*>(row) + keys.front()->offset);
}

caf::error read_row(const record_info& info, std::span<const raw_field> fields, void* row) {
  if (fields.size() != info.columns.size())
    return make_error(errc::malformed_result, info.shown() + " gave " +
                                                  std::to_string(fields.size()) + " columns, not " +
                                                  std::to_string(info.columns.size()));
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const auto& column = info.columns[i];
    auto wrong = column.type->read(fields[i], static_cast<char*>(row) + column.offset);
    if (!wrong.empty())
      return make_error(errc::malformed_result, "column " + column.name + " of " + info.shown() +
                                                    " " + wrong + "; it is read as " + info.type +
                                                    "::" + column.field);
  }
  return {};
}

parameter write_field(const record_column& column, const void* row) {
  return column.type->write(static_cast<const char*>(row) + column.offset);
}

std::string ident(std::string_view name) {
  std::string result = "\"";
  for (char c : name) {
    if (c == '"')
      result += c;
    result += c;
  }
  return result += '"';
}

std::string quoted_table(const record_info& info) {
  return (info.schema.empty() ? "" : ident(info.schema) + ".") + ident(info.table);
}

namespace detail {

record_builder::record_builder(const char* type, const char* table, const void* sample)
    : sample_(sample) {
  info_.type = type;
  info_.wrong = read_table(table, info_);
}

void record_builder::add_column(column_role role, const char* name, const void* field,
                                const field_type& type, const char* column) {
  auto offset =
      static_cast<std::size_t>(static_cast<const char*>(field) - static_cast<const char*>(sample_));
  info_.columns.push_back({role, name, column != nullptr ? column : name, offset, &type});
}

record_info record_builder::finish() {
  auto complain = [&](std::string text) {
    if (info_.wrong.empty())
      info_.wrong = std::move(text);
  };
  if (info_.columns.empty())
    complain("it has no columns");
  for (const auto& it : info_.columns) {
    complain(wrong_name("the column of " + it.field, it.name));
    for (const auto* other = info_.columns.data(); other != &it; ++other) {
      if (other->name == it.name)
        complain("the column " + it.name + " is given twice");
      if (other->offset == it.offset)
        complain("the field " + it.field + " is given twice");
    }
    if (it.role == column_role::key && it.type->nullable)
      complain("the key " + it.field + " is optional");
  }
  return std::move(info_);
}

} // namespace detail

} // namespace fly::repo
