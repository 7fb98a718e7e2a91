#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <caf/expected.hpp>
#include <caf/meta/type_name.hpp>

#include "fly/repo/parameter.hpp"
#include "fly/repo/result.hpp"
#include "fly/rpc/call.hpp"
#include "fly/rpc/function.hpp"

/// What members ask one another for reads; every database serves it.
namespace fly::repo {

class database_core;

/// One statement that reads, for another member's database. A value.
struct read_request {
  std::string sql{};
  std::vector<parameter> parameters{};
  std::vector<std::string> positions{}; ///< That the database must have, as `to_string` of each.
  bool primary = false;                 ///< Whether it must not be in recovery.
};

template <class Inspector>
auto inspect(Inspector& f, read_request& x) {
  return f(caf::meta::type_name("fly::read_request"), x.sql, x.parameters, x.positions, x.primary);
}

/// What it gave, and where. A value.
struct read_answer {
  result rows{};
  std::string member{};
  std::string region{};
  std::string server{};
  bool primary = false;
  std::string position{}; ///< As `to_string` of it; empty in a sandbox.
};

template <class Inspector>
auto inspect(Inspector& f, read_answer& x) {
  return f(caf::meta::type_name("fly::read_answer"), x.rows, x.member, x.region, x.server,
           x.primary, x.position);
}

/// Runs a statement in a read-only transaction on the member's database, once that is as far as is
/// wanted. Errors: those of `read_when_there`.
inline constexpr rpc::function<read_answer(read_request)> read_statement{"fly.read"};

/// Returns how far the member's database is, which must be a primary: as `to_string` of its
/// position. Errors: errc::not_primary and those of `read_when_there`.
inline constexpr rpc::function<std::string()> primary_position{"fly.position"};

/// What serves them. Each blocks.
caf::expected<read_answer> answer_read(database_core& core, const rpc::call_context& context,
                                       const read_request& asked);
caf::expected<std::string> answer_position(database_core& core, const rpc::call_context& context);

} // namespace fly::repo
