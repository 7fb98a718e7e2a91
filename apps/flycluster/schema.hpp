#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "fly/cluster/options.hpp"
#include "fly/repo/options.hpp"

namespace fly::apps {

/// What `flycluster schema` was asked for.
struct schema_request {
  const cluster::options& cluster;
  const repo::options& repo;
  /// Roles that are granted the use of the tables.
  std::vector<std::string> grants{};
  std::chrono::milliseconds timeout{5000};
  /// Prints the statements and does nothing.
  bool print = false;
  /// Print JSON instead of text.
  bool json = false;
};

/// Makes fly's own tables in the primary's database, or brings them up to date, and grants their
/// use. Idempotent. Returns the exit code.
int run_schema(const schema_request& asked);

} // namespace fly::apps
