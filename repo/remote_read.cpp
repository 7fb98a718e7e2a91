#include "fly/repo/remote_read.hpp"

#include <utility>

#include "fly/actors/error.hpp"
#include "fly/cluster/node.hpp"
#include "fly/repo/database_core.hpp"
#include "fly/repo/local_read.hpp"
#include "fly/repo/one_statement.hpp"
#include "fly/repo/statement.hpp"

namespace fly::repo {

caf::expected<read_answer> answer_read(database_core& core, const rpc::call_context& context,
                                       const read_request& asked) {
  read_wants wants{.primary = asked.primary};
  for (const auto& text : asked.positions) {
    auto where = parse_position(text);
    if (!where)
      return std::move(where.error());
    wants.positions.push_back(*where);
  }
  read_answer answer;
  auto body = [&](pqxx::transaction_base& tx) -> caf::error {
    answer.rows = run_statement(tx, asked.sql, asked.parameters);
    return {};
  };
  one_query one{asked.sql, asked.parameters, false, [&](const pg_result& rows) -> caf::error {
                  answer.rows = to_result(rows);
                  return {};
                }};
  auto end = read_when_there(core, wants, context.deadline, context.deadline, body, &one);
  if (!end)
    return std::move(end.error());
  auto self = core.node().self();
  answer.member = self.id;
  answer.region = self.region;
  answer.server = end->server.address;
  answer.primary = end->at && !end->at->seen.in_recovery;
  answer.position = end->at ? to_string(end->at->where()) : "";
  return answer;
}

caf::expected<std::string> answer_position(database_core& core, const rpc::call_context& context) {
  auto end =
      read_when_there(core, {.positions = {}, .primary = true}, context.deadline, context.deadline,
                      [](pqxx::transaction_base&) -> caf::error { return {}; });
  if (!end)
    return std::move(end.error());
  return end->at ? to_string(end->at->where()) : std::string{};
}

} // namespace fly::repo
