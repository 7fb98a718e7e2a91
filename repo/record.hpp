#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <caf/error.hpp>

#include "fly/repo/parameter.hpp"
#include "fly/repo/sql_value.hpp"

namespace fly::repo {

/// How rows of a table become values of T and back; specialized by FLY_RECORD.
template <class T>
struct record;

/// A type that FLY_RECORD has described.
template <class T>
concept mapped = requires {
  record<T>::table;
};

/// What a field of a record is in its table.
enum class column_role {
  key,    ///< Part of the primary key, or of another unique one. Insert sends it, update does not.
  column, ///< Sent by insert and update.
  generated, ///< Filled by the database (a default, a trigger): never sent, read back always.
};

/// How a field's type is written and read; one for each type, not for each field.
struct field_type {
  std::string_view types; ///< What the column may be: pg_type.typname, by spaces; "enum" for any.
  bool array;
  bool nullable;
  bool countable; ///< Whether the database can generate it as a key: an integer or a uuid.
  parameter (*write)(const void* field);
  /// Returns "" or what is wrong.
  std::string (*read)(const std::optional<std::string_view>& text, void* field);
  /// Whether it is a countable one, and 0.
  bool (*is_zero)(const void* field);
};

/// One field of a record.
struct record_column {
  column_role role;
  std::string field; ///< Its name in C++.
  std::string name;  ///< The column's, as it is, without quotes.
  std::size_t offset;
  const field_type* type;
};

/// A record as data: what the verbs work with.
struct record_info {
  std::string type;   ///< The struct's name, as FLY_RECORD was given it.
  std::string schema; ///< Empty: by the search path.
  std::string table;
  std::vector<record_column> columns;
  /// Why it cannot be used: no columns, a name that is empty, too long or given twice. Empty: it
  /// can.
  std::string wrong;

  /// Returns "public.orders" or "orders", for messages.
  std::string shown() const { return schema.empty() ? table : schema + "." + table; }

  /// Returns the column of the field at `offset`; null where it is none.
  const record_column* at(std::size_t offset) const;

  std::vector<const record_column*> with(column_role role) const;

  /// Returns whether the key of `row` is the database's to give: a lone integer or uuid that is 0.
  bool wants_key(const void* row) const;
};

/// A field as the database gave it; nothing is NULL.
using raw_field = std::optional<std::string_view>;

/// Reads a row whose fields are the record's columns, in order. Errors: errc::malformed_result,
/// naming table, column, and what it was.
caf::error read_row(const record_info& info, std::span<const raw_field> fields, void* row);

/// Returns the text of a field of `row`. May throw std::invalid_argument.
parameter write_field(const record_column& column, const void* row);

namespace detail {

template <class Field, bool countable>
bool is_zero([[maybe_unused]] const void* field) {
  if constexpr (countable)
    return *static_cast<const Field*>(field) == Field{};
  else
    return false;
}

template <class Field>
const field_type& field_type_of() {
  using plain = typename sql::element_of<Field>::type;
  static_assert(has_sql_value<plain>,
                "a field of a record is a bool, a signed integer of 16, 32 or 64 bits, a floating "
                "point number, a string, bytes, a time, a date, a uuid, numeric, json, an "
                "enumeration, a vector or an optional of these, or has a fly::repo::sql_value");
  constexpr bool countable = std::is_same_v<Field, uuid> || sql_integer<Field>;
  static constexpr field_type type{
      .types = sql_value<plain>::types,
      .array = sql::is_array<plain>,
      .nullable = sql::element_of<Field>::nullable,
      .countable = countable,
      .write = [](const void* field) -> parameter {
        return sql::write_element(*static_cast<const Field*>(field));
      },
      .read = [](const raw_field& text,
                 void* field) { return sql::read_element(text, *static_cast<Field*>(field)); },
      .is_zero = is_zero<Field, countable>,
  };
  return type;
}

/// Collects the parts of a FLY_RECORD.
class record_builder {
public:
  record_builder(const char* type, const char* table, const void* sample);

  /// Adds a member of T, or of a base of it.
  template <class T, class Member>
  void add(column_role role, const char* name, Member member, const char* column = nullptr) {
    const auto& field = static_cast<const T*>(sample_)->*member;
    add_column(role, name, &field, field_type_of<std::remove_cvref_t<decltype(field)>>(), column);
  }

  record_info finish();

private:
  void add_column(column_role role, const char* name, const void* field, const field_type& type,
                  const char* column);

  const void* sample_;
  record_info info_;
};

/// What a record is of. FLY_RECORD asks it, because the name of a struct such as `session` means
/// another one inside of fly::repo.
template <class>
struct row_of;
template <class T>
struct row_of<record<T>> {
  using type = T;
};

/// Returns where `field` is in a T, in bytes from its begin.
template <class T, class Field>
std::size_t offset_of(Field T::*field) {
  static const T sample{};
  return static_cast<std::size_t>(reinterpret_cast<const char*>(&(sample.*field)) -
                                  reinterpret_cast<const char*>(&sample));
}

} // namespace detail

/// Returns the record of T as data. Safe from any thread.
template <class T>
const record_info& record_of() {
  static_assert(mapped<T>, "FLY_RECORD(T, \"table\", key(id), column(name)...) is missing");
  static_assert(std::is_default_constructible_v<T>, "a record is default-constructible");
  static const record_info info = [] {
    const T sample{};
    detail::record_builder builder{record<T>::type, record<T>::table, &sample};
    record<T>::describe(builder);
    return builder.finish();
  }();
  return info;
}

/// Returns `name` as an identifier of SQL: in double quotes, with those inside doubled.
std::string ident(std::string_view name);

/// Returns the table of `info` as SQL names it.
std::string quoted_table(const record_info& info);

} // namespace fly::repo

/// Maps a struct to a table, at global scope:
///
///     FLY_RECORD(shop::order, "orders", key(id), column(item), column(count, "cnt"),
///                generated(placed_at));
///
/// The table is "name" or "schema.name", taken literally (a part with a dot inside stands in double
/// quotes, as in SQL). key(field), column(field) and generated(field) name a member, which is
/// the column of that name, or of the one given behind it. Several key() are a key of several
/// columns. A lone integer or uuid key that is 0 is left to the database on insert. Members that
/// are not named are left alone. Up to 250 fields.
#define FLY_RECORD(Type, table_name, ...)                                                          \
  template <>                                                                                      \
  struct fly::repo::record<Type> {                                                                 \
    using row_type = ::fly::repo::detail::row_of<record>::type;                                    \
    static constexpr const char* type = #Type;                                                     \
    static constexpr const char* table = table_name;                                               \
    static void describe([[maybe_unused]] ::fly::repo::detail::record_builder& to) {               \
      __VA_OPT__(FLY_RECORD_EXPAND(FLY_RECORD_EACH(__VA_ARGS__)))                                  \
    }                                                                                              \
  }

// Each word pastes to one of these.
#define FLY_RECORD_PART_key(field, ...) FLY_RECORD_ADD(key, field, __VA_ARGS__)
#define FLY_RECORD_PART_column(field, ...) FLY_RECORD_ADD(column, field, __VA_ARGS__)
#define FLY_RECORD_PART_generated(field, ...) FLY_RECORD_ADD(generated, field, __VA_ARGS__)
#define FLY_RECORD_ADD(role, field, ...)                                                           \
  to.add<row_type>(::fly::repo::column_role::role, #field,                                         \
                   &row_type::field __VA_OPT__(, ) __VA_ARGS__);

// A loop over the arguments: each scan does one more step.
#define FLY_RECORD_EACH(part, ...)                                                                 \
  FLY_RECORD_PART_##part __VA_OPT__(FLY_RECORD_AGAIN FLY_RECORD_PARENS(__VA_ARGS__))
#define FLY_RECORD_AGAIN() FLY_RECORD_EACH
#define FLY_RECORD_PARENS ()
#define FLY_RECORD_EXPAND(...)                                                                     \
  FLY_RECORD_SCAN3(FLY_RECORD_SCAN3(FLY_RECORD_SCAN3(FLY_RECORD_SCAN3(__VA_ARGS__))))
#define FLY_RECORD_SCAN3(...)                                                                      \
  FLY_RECORD_SCAN2(FLY_RECORD_SCAN2(FLY_RECORD_SCAN2(FLY_RECORD_SCAN2(__VA_ARGS__))))
#define FLY_RECORD_SCAN2(...)                                                                      \
  FLY_RECORD_SCAN1(FLY_RECORD_SCAN1(FLY_RECORD_SCAN1(FLY_RECORD_SCAN1(__VA_ARGS__))))
#define FLY_RECORD_SCAN1(...)                                                                      \
  FLY_RECORD_SCAN0(FLY_RECORD_SCAN0(FLY_RECORD_SCAN0(FLY_RECORD_SCAN0(__VA_ARGS__))))
#define FLY_RECORD_SCAN0(...) __VA_ARGS__
