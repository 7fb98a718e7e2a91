#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <pqxx/pqxx>

#include "fly/repo/exec.hpp"
#include "fly/repo/record.hpp"

namespace fly::chaos {

/// A value of a list, as the verbs write one.
struct note {
  std::int64_t id = 0;
  std::string list;
  std::string value;
};

/// Returns the values of a list in the order in which they were appended.
inline std::vector<std::string> read_list(pqxx::transaction_base& tx, const std::string& list) {
  std::vector<std::string> result;
  for (const auto& row :
       repo::exec(tx, "SELECT value FROM notes WHERE list = $1 ORDER BY id", list))
    result.emplace_back(row[0].c_str());
  return result;
}

} // namespace fly::chaos

FLY_RECORD(fly::chaos::note, "notes", key(id), column(list), column(value));
