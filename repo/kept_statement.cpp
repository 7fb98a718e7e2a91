#include "fly/repo/kept_statement.hpp"

#include <cassert>

namespace fly::repo {

std::string literal(std::string_view text) {
  std::string result = "E'";
  for (char each : text) {
    if (each == '\'' || each == '\\')
      result += each;
    result += each;
  }
  return result + "'";
}

std::string prepare_text(const kept_statement& what) {
  std::string result = "PREPARE " + std::string{what.name};
  if (!what.types.empty())
    result += "(" + std::string{what.types} + ")";
  return result + " AS " + std::string{what.sql};
}

std::string execute_text(const kept_statement& what) {
  std::string list;
  for (const auto& it : what.values)
    list += (list.empty() ? "" : ", ") + it;
  return "EXECUTE " + std::string{what.name} + (list.empty() ? "" : "(" + list + ")");
}

std::string plain_text(const kept_statement& what) {
  assert(what.values.size() <= 9);
  std::string result;
  for (std::size_t i = 0; i < what.sql.size(); ++i) {
    char next = i + 1 < what.sql.size() ? what.sql[i + 1] : '\0';
    if (what.sql[i] != '$' || next < '1' || next > '9') {
      result += what.sql[i];
      continue;
    }
    result += what.values.at(static_cast<std::size_t>(next - '1'));
    ++i;
  }
  return result;
}

} // namespace fly::repo
