#pragma once

#include <string>

#include <pqxx/result>
#include <pqxx/transaction_base>

#include "fly/repo/parameter.hpp"
#include "fly/repo/pqxx_compat.hpp"

namespace fly::repo {

/// Runs one statement inside `tx`, with $1 and on from `parameters` (strings, numbers, booleans,
/// optionals, nullptr). The same on every libpqxx: 6.4 has `exec_params` alone, which 7.10
/// deprecates. Throws what libpqxx throws, and `failure`, errc::invalid_argument,
/// for a zero byte in `sql` or a parameter, which PostgreSQL does not take. Blocks.
template <class... Ts>
pqxx::result exec(pqxx::transaction_base& tx, const std::string& sql, const Ts&... parameters) {
  return compat::exec_with(tx, sql, to_parameters(parameters...));
}

} // namespace fly::repo
