// Proves that all of it works through a pooler in transaction mode, that nothing of one connection
// stays in a session for the next, and that a database that turns read-only is noticed there, too.
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "fly/repo/pq_link.hpp"
#include "tests/repo/far_shops.hpp"
#include "tests/support/pgbouncer.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;

namespace {

inline constexpr repo::write<std::string(std::string)> place_on_leader{"shop.place_on_leader"};

struct pooled_node {
  pooled_node(const std::string& region, const pgbouncer& pooler, std::vector<std::string> peers)
      : node(far_options(region, std::move(peers))), rpc(node), db(rpc, through(pooler)) {
    serve_shop(db);
    db.serve(place_on_leader, {.on_leader = true},
             [this](pqxx::transaction_base& tx, std::string item) {
               fly::repo::exec(tx, "INSERT INTO orders (item, count) VALUES ($1, 1)", item);
               return node.self().id;
             });
    REQUIRE_FALSE(node.join());
  }

  static repo::options through(const pgbouncer& pooler) {
    auto result = database_options(pooler.url());
    result.pooler = repo::options::pooler_mode::transaction;
    result.lease = 900ms;
    return result;
  }

  cluster::node node;
  rpc::endpoint rpc;
  repo::database db;
};

struct pooled_shops {
  pooled_shops() : servers(1), at_primary(servers.primary()), at_replica(servers.replica(0)) {
    servers.primary().sql("CREATE TABLE orders (id bigserial PRIMARY KEY, item text, count int);"
                          "CREATE TABLE names (id bigserial PRIMARY KEY, name text UNIQUE);"
                          "GRANT ALL ON ALL TABLES IN SCHEMA public TO app;"
                          "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO app");
    servers.wait_caught_up();
    one = std::make_unique<pooled_node>("syd", at_primary, std::vector<std::string>{});
    auto first = one->node.self().address;
    two = std::make_unique<pooled_node>("syd", at_primary, std::vector{first});
    lax = std::make_unique<pooled_node>("lax", at_replica,
                                        std::vector{first, two->node.self().address});
    REQUIRE(eventually([&] {
      return lax->node.primary_group().size() == 2 && lax->node.leader() &&
             lax->node.primary().lease.counter > 0;
    }));
  }

  /// What a setting is in the sessions behind the pooler.
  std::vector<std::string> in_all_sessions(const std::string& setting) const {
    std::vector<repo::pq_link> open; // in a transaction each, so that each has another session
    std::vector<std::string> result;
    auto soon = std::chrono::steady_clock::now() + 5s;
    for (int i = 0; i < 3; ++i) {
      auto link = repo::pq_link::open({.url = at_primary.url()}, soon);
      REQUIRE(link);
      REQUIRE(link->query("BEGIN", soon));
      auto rows = link->query("SHOW " + setting, soon);
      REQUIRE(rows);
      result.push_back((*rows)[0][0].value_or(""));
      open.push_back(std::move(*link));
    }
    for (auto& link : open)
      CHECK(link.query("ROLLBACK", soon));
    return result;
  }

  postgres servers;
  pgbouncer at_primary;
  pgbouncer at_replica;
  std::unique_ptr<pooled_node> one;
  std::unique_ptr<pooled_node> two;
  std::unique_ptr<pooled_node> lax;
};

} // namespace

TEST_CASE_FIXTURE(pooled_shops, "writes, waits, reads and leader's writes go through a pooler") {
  auto many = [&](const pooled_node& from, const std::string& item) {
    for (int i = 0; i < 25; ++i) {
      auto placed = rpc_and_wait(from.db, shop::place, item, 1);
      REQUIRE_MESSAGE(placed, fly::to_string(placed ? caf::error{} : placed.error()));
      CHECK(placed->visible());
      auto seen = from.db.read([&](pqxx::transaction_base& tx) {
        return fly::repo::exec(tx, "SELECT count(*) FROM orders WHERE item = $1", item)[0][0]
            .as<int>();
      });
      REQUIRE(seen);
      CHECK(*seen == i + 1);
      auto led = rpc_and_wait(from.db, place_on_leader, "led");
      REQUIRE_MESSAGE(led, fly::to_string(led ? caf::error{} : led.error()));
      CHECK(**led == from.node.leader()->id);
    }
  };
  std::thread beside{[&] { many(*one, "from syd"); }};
  std::thread also{[&] { many(*two, "from the other"); }};
  many(*lax, "from lax");
  beside.join();
  also.join();

  CHECK(servers.primary().sql("SELECT count(*) FROM orders") == "150");
  CHECK(in_all_sessions("synchronous_commit") == std::vector<std::string>{"on", "on", "on"});
  CHECK(in_all_sessions("statement_timeout") == std::vector<std::string>{"0", "0", "0"});
  CHECK(in_all_sessions("lock_timeout") == std::vector<std::string>{"0", "0", "0"});
  // All of it in few sessions: the pooler was used.
  CHECK(servers.primary().sql("SELECT count(*) <= 4 FROM pg_stat_activity WHERE usename = 'app'") ==
        "t");
}

TEST_CASE_FIXTURE(pooled_shops, "a leader behind a pooler hands over") {
  auto& first = one->node.leader() == one->node.self() ? one : two;
  auto& next = &first == &one ? two : one;
  first->node.leave();

  CHECK(eventually([&] { return lax->node.leader() == next->node.self(); }));
  CHECK(rpc_and_wait(lax->db, place_on_leader, "led"));
}

TEST_CASE_FIXTURE(pooled_shops,
                  "a database that turns read-only is noticed though sessions are old") {
  auto is_primary = [&] { return lax->node.primary_group().size() == 2; };
  servers.primary().sql("ALTER DATABASE app SET default_transaction_read_only = on");
  CHECK(eventually([&] { return lax->node.primary_group().empty(); }));

  servers.primary().sql("BEGIN READ WRITE; "
                        "ALTER ROLE app SET default_transaction_read_only = off; COMMIT");
  CHECK(eventually(is_primary)); // the narrower setting wins
  servers.primary().sql("BEGIN READ WRITE; ALTER ROLE app IN DATABASE app SET "
                        "default_transaction_read_only = on; COMMIT");
  CHECK(eventually([&] { return lax->node.primary_group().empty(); }));
}
