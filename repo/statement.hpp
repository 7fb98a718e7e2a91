#pragma once

#include <string>
#include <vector>

#include "fly/repo/parameter.hpp"
#include "fly/repo/pq_link.hpp"
#include "fly/repo/result.hpp"

namespace pqxx {
class result;
class transaction_base;
} // namespace pqxx

namespace fly::repo {

/// Runs one statement with $1 and on from `parameters`, and takes its rows out. Throws what libpqxx
/// throws.
result run_statement(pqxx::transaction_base& tx, const std::string& sql,
                     const std::vector<parameter>& parameters);

/// Returns the rows of a result.
link_rows to_rows(const pqxx::result& result);

} // namespace fly::repo
