#pragma once

#include <string>
#include <vector>

#include "fly/repo/parameter.hpp"
#include "fly/repo/result.hpp"

namespace pqxx {
class transaction_base;
}

namespace fly::repo {

/// Runs one statement with $1 and on from `parameters`, and takes its rows out. Throws what libpqxx
/// throws.
result run_statement(pqxx::transaction_base& tx, const std::string& sql,
                     const std::vector<parameter>& parameters);

} // namespace fly::repo
