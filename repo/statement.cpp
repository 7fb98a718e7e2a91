#include "fly/repo/statement.hpp"

#include "fly/repo/pqxx_compat.hpp"

namespace fly::repo {

result run_statement(pqxx::transaction_base& tx, const std::string& sql,
                     const std::vector<parameter>& parameters) {
  auto rows = compat::exec_with(tx, sql, parameters);
  result taken;
  auto columns = static_cast<int>(rows.columns());
  for (int column = 0; column < columns; ++column)
    taken.columns.emplace_back(rows.column_name(column));
  taken.rows = to_rows(rows);
  taken.affected_rows = static_cast<std::uint64_t>(rows.affected_rows());
  return taken;
}

link_rows to_rows(const pqxx::result& result) {
  link_rows rows;
  rows.reserve(result.size());
  auto columns = static_cast<int>(result.columns());
  for (const auto& row : result) {
    auto& fields = rows.emplace_back();
    fields.reserve(static_cast<std::size_t>(columns));
    for (int column = 0; column < columns; ++column) {
      auto field = row[column];
      fields.push_back(field.is_null() ? parameter{} : parameter{field.c_str()});
    }
  }
  return rows;
}

} // namespace fly::repo
