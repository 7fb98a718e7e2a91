// fly_fault_node: one node with endpoint and database, as a process of its own, to be killed and
// frozen. Takes the flags of fly; ends in order at SIGINT or SIGTERM.
#include <atomic>
#include <iostream>
#include <memory>
#include <thread>

#include <boost/program_options.hpp>

#include <pqxx/pqxx>

#include "fly/actors/error.hpp"
#include "fly/cluster/node.hpp"
#include "fly/repo/database.hpp"
#include "fly/repo/exec.hpp"
#include "fly/rpc/endpoint.hpp"
#include "tests/faults/contract.hpp"
#include "tests/support/program.hpp"

namespace po = boost::program_options;
using namespace std::chrono_literals;

namespace {

void serve(fly::rpc::endpoint& rpc, fly::repo::database& db) {
  auto id = rpc.node().self().id;
  rpc.serve(fly::faults::where, [id](const std::string&) { return id; });
  auto running = std::make_shared<std::atomic<std::int32_t>>(0);
  rpc.serve(fly::faults::slow, [id, running](std::int32_t time) {
    ++*running;
    std::this_thread::sleep_for(std::chrono::milliseconds{time});
    --*running;
    return id;
  });
  rpc.serve(fly::faults::running, {.on_io_thread = true}, [running] { return running->load(); });
  rpc.serve(fly::faults::count, [&db] {
    return db.with({.timeout = 1s}).read([](pqxx::transaction_base& tx) {
      return tx.exec("SELECT count(*) FROM rows")[0][0].as<std::int64_t>();
    });
  });
  db.serve(fly::faults::add, [](pqxx::transaction_base& tx, const std::string& text) {
    auto rows = fly::repo::exec(tx, "INSERT INTO rows (text) VALUES ($1) RETURNING id", text);
    return rows[0][0].as<std::int64_t>();
  });
  db.serve(fly::faults::lead, {.on_leader = true},
           [id](pqxx::transaction_base& tx, const std::string& text, std::int32_t time) {
             fly::repo::exec(tx, "INSERT INTO rows (text) VALUES ($1)", text);
             std::this_thread::sleep_for(std::chrono::milliseconds{time});
             return id;
           });
}

int run(const fly::cluster::options& where, const fly::repo::options& database,
        const fly::test::end_signals& ends) {
  fly::cluster::node node{where};
  fly::rpc::endpoint rpc{node};
  fly::repo::database db{rpc, database};
  serve(rpc, db);
  if (auto reason = node.join()) {
    std::cerr << "fault_node: " << fly::to_string(reason) << '\n';
    return 1;
  }
  ends.wait();
  node.leave();
  return 0;
}

} // namespace

int main(int argc, char** argv) {
  fly::test::end_signals ends;
  fly::cluster::options where;
  fly::repo::options database;
  database.fresh_interval = 300ms;
  database.role_interval = 200ms;
  po::options_description flags{"a node to be killed"};
  where.describe(flags);
  database.describe(flags);
  return fly::test::run_program("fault_node", argc, argv, flags,
                                [&](const auto&) { return run(where, database, ends); });
}
