#include "fly/repo/pq_result.hpp"

#include <charconv>
#include <cstddef>
#include <string_view>

#include <libpq-fe.h>

namespace fly::repo {

namespace {

std::optional<std::string_view> field_of(const PGresult& from, int row, int column) {
  if (PQgetisnull(&from, row, column) == 1)
    return std::nullopt;
  return std::string_view{PQgetvalue(&from, row, column),
                          static_cast<std::size_t>(PQgetlength(&from, row, column))};
}

} // namespace

void result_deleter::operator()(pg_result* result) const noexcept {
  PQclear(result);
}

link_rows to_rows(const pg_result& from) {
  link_rows rows(static_cast<std::size_t>(PQntuples(&from)));
  auto columns = PQnfields(&from);
  for (std::size_t row = 0; row < rows.size(); ++row) {
    rows[row].reserve(static_cast<std::size_t>(columns));
    for (int column = 0; column < columns; ++column)
      rows[row].emplace_back(field_of(from, static_cast<int>(row), column));
  }
  return rows;
}

result to_result(const pg_result& from) {
  result taken;
  for (int column = 0; column < PQnfields(&from); ++column)
    taken.columns.emplace_back(PQfname(&from, column));
  taken.rows = to_rows(from);
  std::string_view affected = PQcmdTuples(const_cast<PGresult*>(&from));
  std::from_chars(affected.data(), affected.data() + affected.size(), taken.affected_rows);
  return taken;
}

caf::error each_row_of(const pg_result& from, const fields_sink& sink) {
  std::vector<std::optional<std::string_view>> fields(static_cast<std::size_t>(PQnfields(&from)));
  for (int row = 0; row < PQntuples(&from); ++row) {
    for (std::size_t i = 0; i < fields.size(); ++i)
      fields[i] = field_of(from, row, static_cast<int>(i));
    if (auto reason = sink(fields))
      return reason;
  }
  return {};
}

} // namespace fly::repo
