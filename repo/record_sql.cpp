#include "fly/repo/record_sql.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "fly/actors/error.hpp"
#include "fly/repo/statement_writer.hpp"

namespace fly::repo {

namespace {

caf::error refused(const record_info& info, const std::string& why) {
  return make_error(errc::invalid_argument, "the record " + info.type + ": " + why);
}

sql_statement wrong(caf::error reason) {
  return {.wrong = std::move(reason)};
}

/// On lines of its own, so that a comment at its end swallows nothing.
std::string where_clause(const std::string& where) {
  return where.empty() ? "" : " WHERE (\n" + where + "\n)";
}

/// Makes a statement with what may throw because of a value or a field.
template <class Make>
sql_statement made(const record_info& info, Make make) {
  if (!info.wrong.empty())
    return wrong(refused(info, info.wrong));
  try {
    return make(statement_writer{info});
  } catch (const std::invalid_argument& thrown) {
    return wrong(refused(info, thrown.what()));
  }
}

/// A statement whose parameters are the caller's own.
sql_statement with_given(const record_info& info, given_parameters given, std::string text) {
  if (!info.wrong.empty())
    return wrong(refused(info, info.wrong));
  if (!given)
    return wrong(std::move(given.error()));
  return {.text = std::move(text), .parameters = std::move(*given)};
}

std::string select_text(const record_info& info) {
  return "SELECT " + all_columns(info) + " FROM " + quoted_table(info);
}

} // namespace

// -- reading --------------------------------------------------------------------------------------

sql_statement select_rows(const record_info& info, const selection& which, given_parameters given) {
  if (which.limit.value_or(0) < 0 || which.offset.value_or(0) < 0)
    return wrong(refused(info, "a limit or offset below 0"));
  auto text = select_text(info) + where_clause(which.where);
  if (!which.order_by.empty())
    text += " ORDER BY " + which.order_by + "\n";
  if (which.limit)
    text += " LIMIT " + std::to_string(*which.limit);
  if (which.offset)
    text += " OFFSET " + std::to_string(*which.offset);
  return with_given(info, std::move(given), std::move(text));
}

sql_statement select_exists(const record_info& info, const std::string& where,
                            given_parameters given) {
  return with_given(info, std::move(given),
                    "SELECT EXISTS (SELECT 1 FROM " + quoted_table(info) + where_clause(where) +
                        ")");
}

sql_statement select_aggregate(const record_info& info, std::string_view function,
                               std::optional<std::size_t> offset, const std::string& where,
                               given_parameters given) {
  const auto* column = offset ? info.at(*offset) : nullptr;
  if (offset && column == nullptr)
    return wrong(refused(info, "the field of an aggregate is none of its columns"));
  return with_given(info, std::move(given),
                    "SELECT " + std::string{function} + "(" +
                        (column != nullptr ? ident(column->name) : "*") + ") FROM " +
                        quoted_table(info) + where_clause(where));
}

sql_statement select_equal(const record_info& info, const std::vector<std::size_t>& offsets,
                           given_parameters given) {
  if (!given)
    return wrong(std::move(given.error()));
  return made(info, [&](statement_writer to) {
    auto condition = to.equal(to.at(offsets), *given);
    return std::move(to).finish(select_text(info) + " WHERE " + condition, true);
  });
}

sql_statement select_key(const record_info& info, given_parameters given) {
  if (!given)
    return wrong(std::move(given.error()));
  return made(info, [&](statement_writer to) {
    auto keys = to.keys();
    if (keys.size() != given->size())
      throw std::invalid_argument{"its key has " + std::to_string(keys.size()) + " columns, and " +
                                  std::to_string(given->size()) + " values were given"};
    auto condition = to.equal(keys, *given);
    return std::move(to).finish(select_text(info) + " WHERE " + condition, true);
  });
}

sql_statement select_again(const record_info& info, const void* row) {
  return made(info, [&](statement_writer to) {
    auto condition = to.same_key(to.keys(), row);
    return std::move(to).finish(select_text(info) + " WHERE " + condition, true);
  });
}

sql_statement select_any(const record_info& info, std::size_t offset,
                         const std::vector<parameter>& values) {
  return made(info, [&](statement_writer to) {
    auto name = ident(to.at({offset}).front()->name);
    auto given = to.add(sql::write_array(values));
    // The empty array_agg gives the values the column's own type and collation.
    auto typed = "coalesce((SELECT array_agg(" + name + ") FROM " + quoted_table(info) +
                 " WHERE false), " + given + ")";
    // Its columns may have any names, also those of the values.
    auto of_row = [](const record_column& it) { return "fly_row." + ident(it.name); };
    auto order = list(info.with(column_role::key), [&](const auto* it) { return of_row(*it); });
    return std::move(to).finish(
        "SELECT " + list(info.columns, of_row) + ", fly_wanted.fly_place FROM " +
            quoted_table(info) + " AS fly_row JOIN unnest(" + typed +
            ") WITH ORDINALITY AS fly_wanted(fly_value, fly_place) ON fly_row." + name +
            " = fly_wanted.fly_value WHERE fly_row." + name + " = ANY (" + given + ")" +
            (order.empty() ? "" : " ORDER BY " + order),
        true);
  });
}

// -- writing --------------------------------------------------------------------------------------

namespace {

std::string insert_text(const record_info& info, statement_writer& to,
                        std::span<const void* const> rows) {
  columns sent;
  for (const auto& it : info.columns)
    if (it.role != column_role::generated)
      sent.push_back(&it);
  bool by_database = sent.empty(); // then the first column stands for all that are generated
  if (by_database)
    sent.push_back(&info.columns.front());
  auto values = list(rows, [&](const void* row) {
    bool wants_key = info.wants_key(row);
    auto value = [&](const record_column* it) {
      bool by_default = by_database || (wants_key && it->role == column_role::key);
      return by_default ? "DEFAULT" : to.field(*it, row);
    };
    return "(" + list(sent, value) + ")";
  });
  return "INSERT INTO " + quoted_table(info) + " (" + names(sent) + ") VALUES " + values;
}

} // namespace

sql_statement insert_rows(const record_info& info, std::span<const void* const> rows) {
  return made(info, [&](statement_writer to) {
    if (rows.empty())
      throw std::invalid_argument{"no rows to insert"};
    auto text = insert_text(info, to, rows);
    return std::move(to).finish(text + " RETURNING " + all_columns(info), rows.size() == 1);
  });
}

sql_statement upsert_row(const record_info& info, const void* row,
                         const std::vector<std::size_t>& targets) {
  return made(info, [&](statement_writer to) {
    auto target = targets.empty() ? to.keys() : to.at(targets);
    auto text = insert_text(info, to, std::span{&row, 1});
    columns set;
    for (const auto* it : info.with(column_role::column))
      if (std::find(target.begin(), target.end(), it) == target.end())
        set.push_back(it);
    if (set.empty()) // the row is given back all the same
      set.push_back(target.front());
    text += " ON CONFLICT (" + names(target) + ") DO UPDATE SET " + list(set, [](const auto* it) {
              return ident(it->name) + " = EXCLUDED." + ident(it->name);
            });
    return std::move(to).finish(text + " RETURNING " + all_columns(info), true);
  });
}

sql_statement update_row(const record_info& info, const void* row,
                         const std::vector<std::size_t>& offsets) {
  return made(info, [&](statement_writer to) {
    auto keys = to.keys();
    auto chosen = offsets.empty() ? info.with(column_role::column) : to.at(offsets);
    if (chosen.empty())
      throw std::invalid_argument{"it has no columns to update"};
    auto set = list(chosen, [&](const auto* it) {
      if (it->role != column_role::column)
        throw std::invalid_argument{"the field " + it->field + " is not to be updated"};
      return ident(it->name) + " = " + to.field(*it, row);
    });
    auto condition = to.same_key(keys, row);
    return std::move(to).finish("UPDATE " + quoted_table(info) + " SET " + set + " WHERE " +
                                    condition + " RETURNING " + all_columns(info),
                                true);
  });
}

sql_statement delete_row(const record_info& info, const void* row) {
  return made(info, [&](statement_writer to) {
    auto condition = to.same_key(to.keys(), row);
    return std::move(to).finish("DELETE FROM " + quoted_table(info) + " WHERE " + condition +
                                    " RETURNING " + all_columns(info),
                                true);
  });
}

sql_statement update_rows(const record_info& info, const std::string& set, const std::string& where,
                          given_parameters given) {
  if (set.empty())
    return wrong(refused(info, "update_all without anything to set"));
  return with_given(info, std::move(given),
                    "UPDATE " + quoted_table(info) + " SET " + set + "\n" + where_clause(where));
}

sql_statement delete_rows(const record_info& info, const std::string& where,
                          given_parameters given) {
  return with_given(info, std::move(given),
                    "DELETE FROM " + quoted_table(info) + where_clause(where));
}

} // namespace fly::repo
