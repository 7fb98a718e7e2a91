// Proves that all of it works through a pooler in transaction mode, that nothing of one connection
// stays in a session for the next, and that a database that turns read-only is noticed there, too.
#include <atomic>
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
  explicit pooled_shops(std::size_t replicas = 1)
      : servers(replicas), at_primary(servers.primary()), at_replica(servers.replica(0)) {
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

  static int rows_of(const postgres_server& server) {
    return std::stoi(server.sql("SELECT count(*) FROM orders"));
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

TEST_CASE_FIXTURE(pooled_shops, "a primary whose pooler takes no more clients stays primary") {
  REQUIRE(rpc_and_wait(lax->db, shop::place, "before", 1));
  std::vector<repo::pq_link> crowd;
  caf::error full;
  auto crowded = std::chrono::steady_clock::now() + 4s; // the nodes' own fresh looks end meanwhile
  while (std::chrono::steady_clock::now() < crowded) {
    auto next = repo::pq_link::open({.url = at_primary.url()}, crowded + 5s);
    if (next)
      crowd.push_back(std::move(*next));
    else
      full = next.error();
  }

  CHECK(details_of(full).at("sqlstate") == "53300");
  auto until = std::chrono::steady_clock::now() + 5s; // longer than to the next fresh look
  while (std::chrono::steady_clock::now() < until) {
    CHECK(rpc_and_wait(lax->db.with({.timeout = 2s}), shop::place, "meanwhile", 1));
    std::this_thread::sleep_for(200ms);
  }
  CHECK(one->db.role().role == repo::database_role::primary);
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
  auto begun = servers.primary().sql("SELECT clock_timestamp()");
  servers.primary().sql("ALTER DATABASE app SET default_transaction_read_only = on");
  CHECK(eventually([&] { return lax->node.primary_group().empty(); }));

  servers.primary().sql("BEGIN READ WRITE; "
                        "ALTER ROLE app SET default_transaction_read_only = off; COMMIT");
  // Sessions that the pooler has opened meanwhile would stay read-only.
  servers.primary().sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                        "WHERE usename = 'app' AND backend_start > '" +
                        begun + "'");
  CHECK(eventually(is_primary)); // the narrower setting wins
  servers.primary().sql("BEGIN READ WRITE; ALTER ROLE app IN DATABASE app SET "
                        "default_transaction_read_only = on; COMMIT");
  CHECK(eventually([&] { return lax->node.primary_group().empty(); }));
}

namespace {

struct two_pooled_replicas : pooled_shops {
  two_pooled_replicas() : pooled_shops(2) {}

  /// Promotes lax's replica and waits until all know.
  void promote() {
    servers.wait_caught_up();
    servers.replica(0).promote();
    for (auto* it : {one.get(), two.get(), lax.get()})
      REQUIRE(eventually([&] {
        auto now = it->node.primary();
        return now.timeline == 2 && now.region == "lax" && now.lease.timeline == 2;
      }));
  }
};

/// Writes through one node in a thread, and counts what was acknowledged.
struct busy_writer {
  explicit busy_writer(const pooled_node& from)
      : thread_([this, &from] {
          while (!over_) {
            auto placed = rpc_primary(from.db.with({.timeout = 300ms}), shop::place, "busy", 1);
            acknowledged += bool(placed);
            if (placed && placed->position().timeline < timeline)
              ++elsewhere;
          }
        }) {}
  ~busy_writer() { stop(); }

  void stop() {
    over_ = true;
    if (thread_.joinable())
      thread_.join();
  }

  std::atomic<int> acknowledged = 0;
  std::atomic<std::uint32_t> timeline = 0;
  std::atomic<int> elsewhere = 0; ///< On a timeline below `timeline`.

private:
  std::atomic<bool> over_ = false;
  std::thread thread_;
};

} // namespace

TEST_CASE_FIXTURE(two_pooled_replicas,
                  "a promotion behind a pooler is noticed, and writes go there") {
  auto before = rpc_and_wait(lax->db, shop::place, "before", 1);
  REQUIRE(before);
  promote();
  auto old = rows_of(servers.primary());

  for (auto* from : {one.get(), two.get(), lax.get()}) {
    auto placed = rpc_primary(from->db, shop::place, "after", 1);
    REQUIRE_MESSAGE(placed, fly::to_string(placed ? caf::error{} : placed.error()));
    CHECK(placed->position().timeline == 2);
    CHECK(placed->position().system == before->position().system);
    auto led = rpc_primary(from->db, place_on_leader, "led");
    REQUIRE_MESSAGE(led, fly::to_string(led ? caf::error{} : led.error()));
    CHECK(**led == lax->node.self().id);
  }
  CHECK(rows_of(servers.primary()) == old);
  CHECK_FALSE(lax->db.wait_for(before->position(), 5s));
  CHECK(servers.replica(0).sql("SELECT left_at IS NOT NULL FROM fly.timeline WHERE timeline = 2 "
                               "AND parent = 1") == "t");

  // And where their pooler is pointed there, the old primary's nodes are of the group.
  at_primary.point_to(servers.replica(0));
  CHECK(eventually([&] { return lax->node.primary_group().size() == 3; }));
  CHECK(lax->node.primary().conflict.empty());
  CHECK(eventually([&] { return lax->node.primary().zombies.empty(); }));
  for (auto* from : {one.get(), two.get(), lax.get()}) {
    CHECK_FALSE(from->db.wait_for(before->position(), 5s));
    auto placed = rpc_and_wait(from->db, shop::place, "at last", 1);
    REQUIRE_MESSAGE(placed, fly::to_string(placed ? caf::error{} : placed.error()));
    CHECK(placed->visible());
    CHECK(rpc_primary(from->db, place_on_leader, "led"));
  }
  CHECK(rows_of(servers.primary()) == old);
}

TEST_CASE_FIXTURE(two_pooled_replicas,
                  "progress starts anew where a pooler is pointed to a slower replica") {
  servers.wait_caught_up();
  servers.replica(1).pause_replay();
  repo::session user;
  auto mine = lax->db.with({.timeout = 1000ms, .session = user});
  auto placed = rpc_and_wait(mine, shop::place, "pen", 1);
  REQUIRE(placed);
  REQUIRE(placed->visible());
  auto count = [&] {
    return mine.read([](pqxx::transaction_base& tx) {
      return tx.exec("SELECT count(*) FROM orders WHERE item = 'pen'")[0][0].as<int>();
    });
  };
  REQUIRE(count());
  CHECK(*count() == 1);

  at_replica.point_to(servers.replica(1));
  bool refused = false;
  auto until = std::chrono::steady_clock::now() + 3s;
  while (std::chrono::steady_clock::now() < until) {
    auto seen = count();
    if (seen)
      CHECK(*seen == 1); // never less than the user has seen
    else
      refused = refused || seen.error() == errc::not_visible;
  }
  CHECK(refused);
  CHECK(lax->db.wait_for(placed->position(), 1000ms) == errc::not_visible);

  servers.replica(1).resume_replay();
  CHECK_FALSE(lax->db.wait_for(placed->position(), 5s));
  CHECK(eventually([&] {
    auto seen = count();
    return seen && *seen == 1;
  }));
}

TEST_CASE_FIXTURE(two_pooled_replicas,
                  "a replica that was left behind is not taken for the one that the pooler had") {
  promote();
  repo::session user;
  auto mine = lax->db.with({.timeout = 1000ms, .session = user});
  REQUIRE(rpc_and_wait(mine, shop::place, "pen", 1));
  auto count = [&] {
    return mine.read([](pqxx::transaction_base& tx) {
      return tx.exec("SELECT count(*) FROM orders WHERE item = 'pen'")[0][0].as<int>();
    });
  };
  REQUIRE(count());
  // The old primary's log, and so its replica's, is longer, and without the order.
  servers.primary().sql("CREATE TABLE junk AS SELECT generate_series(1, 10000)");
  servers.wait_caught_up(servers.replica(1), servers.primary());

  at_replica.point_to(servers.replica(1));
  int refused = 0;
  auto until = std::chrono::steady_clock::now() + 2s;
  while (std::chrono::steady_clock::now() < until) {
    auto seen = count();
    refused += !seen;
    if (seen)
      CHECK(*seen == 1);
  }
  CHECK(refused > 0);
}

TEST_CASE_FIXTURE(two_pooled_replicas,
                  "no write goes to an old primary that a pooler is pointed to") {
  promote();
  busy_writer from_lax{*lax};
  busy_writer from_syd{*one};
  from_lax.timeline = from_syd.timeline = 2;
  auto old = rows_of(servers.primary());
  for (int i = 0; i < 3; ++i) {
    auto then = from_lax.acknowledged.load();
    REQUIRE(eventually([&] { return from_lax.acknowledged > then + 20; }));
    at_replica.point_to(servers.primary());
    REQUIRE(eventually([&] { return lax->node.primary_group().empty(); }));
    CHECK(lax->node.primary().timeline == 2);
    at_replica.point_to(servers.replica(0));
    REQUIRE(eventually([&] { return lax->node.primary_group().size() == 1; }));
  }
  from_lax.stop();
  from_syd.stop();
  CHECK(rows_of(servers.primary()) == old);
  CHECK(from_lax.elsewhere + from_syd.elsewhere == 0);
  CHECK(rows_of(servers.replica(0)) >= old + from_lax.acknowledged + from_syd.acknowledged);
}

TEST_CASE_FIXTURE(pooled_shops, "no write goes to another server that a pooler is pointed to") {
  bool foreign = true;
  SUBCASE("of its own system") {}
  SUBCASE("a copy of the primary, on its timeline") {
    foreign = false;
  }
  postgres others{postgres_options{.foreign = foreign}};
  others.primary().sql("CREATE TABLE orders (id bigserial PRIMARY KEY, item text, count int);"
                       "GRANT ALL ON ALL TABLES IN SCHEMA public TO app;"
                       "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO app");
  pgbouncer third{servers.primary()};
  pooled_node three{"syd", third, {one->node.self().address, lax->node.self().address}};
  REQUIRE(eventually([&] { return lax->node.primary_group().size() == 3; }));
  busy_writer from_three{three};
  REQUIRE(eventually([&] { return from_three.acknowledged > 20; }));

  third.point_to(others.primary());
  CHECK(eventually([&] { return lax->node.primary_group().size() == 2; }));
  CHECK(eventually([&] { return lax->node.primary().conflict.empty() == foreign; }));
  auto then = from_three.acknowledged.load();
  CHECK(eventually([&] { return from_three.acknowledged > then + 20; })); // by the other two
  CHECK(rows_of(others.primary()) == 0);
  third.point_to(servers.primary());
  CHECK(eventually([&] { return lax->node.primary_group().size() == 3; }));
  from_three.stop();
  CHECK(rows_of(others.primary()) == 0);
  CHECK(rows_of(servers.primary()) >= from_three.acknowledged);
}
