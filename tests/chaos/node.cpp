// fly_chaos_node_1, fly_chaos_node_2: one node with its users, as a process of its own, in two
// versions. Records what its users did; ends in order at SIGINT or SIGTERM.
#include <iostream>
#include <thread>

#include <boost/program_options.hpp>

#include <pqxx/pqxx>

#include "fly/actors/error.hpp"
#include "fly/cluster/node.hpp"
#include "fly/repo/database.hpp"
#include "fly/repo/exec.hpp"
#include "fly/rpc/endpoint.hpp"
#include "fly/testing/recorder.hpp"
#include "tests/chaos/clients.hpp"
#include "tests/chaos/contract.hpp"
#include "tests/chaos/lists.hpp"
#include "tests/support/program.hpp"

namespace po = boost::program_options;
using namespace std::chrono_literals;

namespace {

/// What is left of a call's time is not known here: less than any caller gives.
constexpr std::chrono::milliseconds read_timeout{800};

std::int64_t add(pqxx::transaction_base& tx, const char* columns, const std::string& list,
                 const std::string& value) {
  auto rows = fly::repo::exec(tx,
                              "INSERT INTO notes (list, value, begun) VALUES ($1, $2, " +
                                  std::string{columns} + ") RETURNING id",
                              list, value);
  return rows[0][0].as<std::int64_t>();
}

void serve(fly::rpc::endpoint& rpc, fly::repo::database& db) {
  rpc.serve(fly::chaos::read_at,
            [&db](const std::string& list,
                  const std::string& token) -> caf::expected<fly::chaos::seen_list> {
              auto where = db.parse_token(token);
              if (!where)
                return std::move(where.error());
              fly::repo::session user{*where};
              auto values = db.with({.timeout = read_timeout, .session = user})
                                .read([&](pqxx::transaction_base& tx) {
                                  return fly::chaos::read_list(tx, list);
                                });
              if (!values)
                return std::move(values.error());
              auto now = user.uncertain() ? std::string{} : db.token(*user.position());
              return fly::chaos::seen_list{std::move(*values), std::move(now)};
            });
  rpc.serve(fly::chaos::old_price, [](const std::string&) { return 250; });
  if (FLY_CHAOS_VERSION == 2)
    rpc.serve(fly::chaos::new_price, [](const std::string&, const std::string&) { return 250; });
  rpc.serve(fly::chaos::crowded, {.running_max = 1, .queue_max = fly::chaos::crowd_queue_max}, [] {
    std::this_thread::sleep_for(20ms);
    return 1;
  });
  db.serve(fly::chaos::append,
           [](pqxx::transaction_base& tx, const std::string& list, const std::string& value) {
             return add(tx, "NULL", list, value);
           });
  db.serve(fly::chaos::lead, {.on_leader = true},
           [](pqxx::transaction_base& tx, const std::string& list, const std::string& value,
              std::int32_t takes) {
             auto id = add(tx, "chaos_epoch()", list, value);
             std::this_thread::sleep_for(std::chrono::milliseconds{takes});
             return id;
           });
}

struct chosen {
  fly::cluster::options where{};
  fly::repo::options database{};
  std::string history{};
  int life = 1;
  std::uint64_t seed = 0;
};

int run(const chosen& given, const fly::test::end_signals& ends) {
  auto process = given.where.machine_id + "/" + std::to_string(given.life);
  fly::testing::recorder record{given.history, process};
  fly::cluster::node node{given.where};
  fly::rpc::endpoint rpc{node, {.workers = 16}};
  fly::repo::database db{rpc, given.database};
  serve(rpc, db);
  if (auto reason = node.join()) {
    std::cerr << "chaos_node: " << fly::to_string(reason) << '\n';
    return 1;
  }
  {
    fly::chaos::clients users{rpc,
                              db,
                              record,
                              {.process = process,
                               .seed = given.seed + static_cast<std::uint64_t>(given.life),
                               .version = FLY_CHAOS_VERSION}};
    ends.wait();
  }
  node.leave();
  return record.dropped() == 0 ? 0 : 3;
}

} // namespace

int main(int argc, char** argv) {
  fly::test::end_signals ends;
  chosen given;
  given.database.fresh_interval = 300ms;
  given.database.role_interval = 200ms;
  po::options_description flags{"a node with its users"};
  given.where.describe(flags);
  given.database.describe(flags);
  flags.add_options()("history", po::value(&given.history)->required(), "file to record to")(
      "life", po::value(&given.life), "which start of the machine this is")(
      "seed", po::value(&given.seed), "for what the users do");
  return fly::test::run_program("chaos_node", argc, argv, flags,
                                [&](const auto&) { return run(given, ends); });
}
