#pragma once

#include <string>
#include <vector>

#include <pqxx/pqxx>

#include "fly/repo/exec.hpp"

namespace fly::chaos {

/// Returns the values of a list in the order in which they were appended.
inline std::vector<std::string> read_list(pqxx::transaction_base& tx, const std::string& list) {
  std::vector<std::string> result;
  for (const auto& row :
       repo::exec(tx, "SELECT value FROM notes WHERE list = $1 ORDER BY id", list))
    result.emplace_back(row[0].c_str());
  return result;
}

} // namespace fly::chaos
