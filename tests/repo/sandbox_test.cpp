// Proves the test sandbox: one transaction that is never committed, for all nodes of a test, in
// parallel with others; and the database without a cluster, for migrations and scripts.
#include "fly/repo/sandbox.hpp"

#include <memory>
#include <string>
#include <thread>

#include <doctest/doctest.h>

#include "fly/actors/must.hpp"
#include "fly/repo/local_database.hpp"
#include "tests/repo/far_shops.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;

namespace yard {

struct item {
  std::int64_t id = 0;
  std::string name;
};

} // namespace yard

FLY_RECORD(yard::item, "names", key(id), column(name));

namespace {

using yard::item;

/// A node as a test has it: alone or with others, all in one sandbox.
struct boxed_node {
  boxed_node(const repo::sandbox& box, const std::string& region,
             std::vector<std::string> peers = {})
      : node(far_options(region, std::move(peers))), rpc(node), db(rpc, quick(box)) {
    serve_shop(db);
    REQUIRE_FALSE(node.join());
    REQUIRE(eventually([&] { return node.primary_group().size() == 1; }));
  }

  static repo::options quick(const repo::sandbox& box) {
    auto result = box.settings();
    result.role_interval = 100ms;
    result.fresh_interval = 300ms;
    return result;
  }

  cluster::node node;
  rpc::endpoint rpc;
  repo::database db;
};

struct yard_server {
  yard_server() {
    servers.primary().sql(
        "CREATE TABLE orders (id bigserial PRIMARY KEY, item text, "
        "count int CONSTRAINT positive CHECK (count > 0));"
        "CREATE TABLE names (id bigserial PRIMARY KEY, name text UNIQUE);"
        "CREATE TABLE pairs (n int CONSTRAINT once UNIQUE DEFERRABLE INITIALLY DEFERRED);"
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO app;"
        "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO app");
  }

  std::string committed() {
    return servers.primary().sql(
        "SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM names) + "
        "(SELECT count(*) FROM pairs)");
  }

  std::string url() { return servers.primary().url(); }

  postgres servers;
};

} // namespace

TEST_CASE_FIXTURE(yard_server, "all that a test does is seen by the test, and gone after it") {
  {
    repo::sandbox box{url()};
    boxed_node here{box, "syd"};
    auto made = must(here.db.insert(item{.id = 0, .name = "pen"}));
    CHECK(made.visible());
    CHECK(must(here.db.get<item>(made->id)).name == "pen");
    CHECK(must(rpc_and_wait(here.db, shop::place, "ink", 2))->item == "ink");
    CHECK(*must(rpc_and_wait(here.db, shop::look, "ink")) == 1);
    must(here.db.execute("INSERT INTO orders (item, count) VALUES ('cup', 1)"));
    CHECK(must(here.db.query("SELECT count(*) FROM orders")).rows[0][0] == "2");
    CHECK_FALSE(here.db.wait_for(made.position(), 1s));
    CHECK(committed() == "0");
  }
  CHECK(committed() == "0");
}

TEST_CASE_FIXTURE(yard_server, "what fails in a sandbox undoes itself and no more") {
  repo::sandbox box{url()};
  boxed_node here{box, "syd"};
  must(here.db.insert(item{.id = 0, .name = "pen"}));

  auto twice = here.db.insert(item{.id = 0, .name = "pen"});
  REQUIRE_FALSE(twice);
  CHECK(details_of(twice.error())["sqlstate"] == "23505");
  CHECK(rpc_and_wait(here.db, shop::place, "bad", -1).error() == errc::sql_failed);
  auto late = here.db.execute("INSERT INTO pairs VALUES (1), (1)"); // checked at COMMIT elsewhere
  REQUIRE_FALSE(late);
  CHECK(details_of(late.error())["constraint"] == "once");
  auto reading = here.db.query("DELETE FROM names");
  REQUIRE_FALSE(reading);
  CHECK(details_of(reading.error())["sqlstate"] == "25006");
  CHECK(here.db.query("SELECT 1/0").error() == errc::sql_failed);

  must(here.db.execute("INSERT INTO pairs VALUES (1)"));
  CHECK(must(here.db.all<item>()).size() == 1);
  CHECK(must(here.db.query("SELECT count(*) FROM pairs")).rows[0][0] == "1");
}

TEST_CASE_FIXTURE(yard_server, "a write in a sandbox leaves its session as it was, too") {
  repo::sandbox box{url()};
  boxed_node here{box, "syd"};

  must(here.db.execute("SELECT set_config('search_path', 'elsewhere', false)"));

  CHECK(must(here.db.query("SHOW search_path")).rows[0][0] == "\"$user\", public");
}

TEST_CASE_FIXTURE(yard_server,
                  "what ends the transaction of a sandbox is told so; then it is new") {
  repo::sandbox box{url()};
  boxed_node here{box, "syd"};
  for (const char* end : {"ROLLBACK AND CHAIN", "ROLLBACK", "COMMIT AND CHAIN", "COMMIT"}) {
    CAPTURE(end);
    must(here.db.execute("DELETE FROM names"));
    must(here.db.insert(item{.id = 0, .name = "pen"}));

    auto ended = here.db.execute(end);

    REQUIRE_FALSE(ended);
    CHECK_MESSAGE(ended.error() == errc::function_failed, fly::to_string(ended.error()));
    CHECK(details_of(ended.error())["ended_by"] == end);
    bool kept = details_of(ended.error())["committed"] == "yes";
    CHECK(kept == std::string_view{end}.starts_with("COMMIT"));
    CHECK(must(here.db.all<item>()).size() == (kept ? 1 : 0));
  }
}

TEST_CASE_FIXTURE(yard_server, "nodes in two regions share one sandbox") {
  repo::sandbox box{url()};
  boxed_node syd{box, "syd"};
  boxed_node lax{box, "lax", {syd.node.self().address}};
  auto made = must(rpc_and_wait(lax.db, shop::place, "pen", 2));
  CHECK(made.visible());
  CHECK(must(syd.db.query("SELECT item FROM orders")).rows[0][0] == "pen");
  CHECK(must(lax.db.query("SELECT item FROM orders")).rows[0][0] == "pen");
  CHECK(committed() == "0");
}

TEST_CASE_FIXTURE(yard_server, "a keyed write happens once in a sandbox, and again in the next") {
  for (int test = 0; test < 2; ++test) {
    repo::sandbox box{url()};
    boxed_node here{box, "syd"};
    REQUIRE(eventually(
        [&] { return servers.primary().sql("SELECT to_regclass('fly.ledger')") != ""; }));
    auto db = here.db.with({.key = "cart-17"});
    CHECK_FALSE(must(db.insert(item{.id = 0, .name = "pen"})).repeated());
    CHECK(must(db.insert(item{.id = 0, .name = "pen"})).repeated());
    CHECK(must(here.db.aggregate(repo::count<item>())) == 1);
  }
}

TEST_CASE_FIXTURE(yard_server, "parallel sandboxes do not see each other") {
  constexpr int rounds = 50;
  std::atomic<int> strange{0};
  auto test = [&](const std::string& name) {
    repo::sandbox box{url()};
    boxed_node here{box, "syd"};
    for (int i = 0; i < rounds; ++i) {
      must(here.db.insert(item{.id = 0, .name = name + std::to_string(i)}));
      auto all = must(here.db.all<item>());
      strange += static_cast<int>(all.size()) != i + 1;
      for (const auto& it : all)
        strange += !it.name.starts_with(name);
    }
  };
  std::thread first{test, "a"};
  std::thread second{test, "b"};
  first.join();
  second.join();
  CHECK(strange == 0);
  CHECK(committed() == "0");
}

TEST_CASE_FIXTURE(yard_server, "a script runs in transactions without a cluster") {
  repo::local_database db{url()};
  CHECK(db.write([](pqxx::transaction_base& tx) {
    tx.exec("CREATE TABLE migrated (n int)");
    tx.exec("INSERT INTO migrated VALUES (1)");
  }));
  auto made = must(db.write([](pqxx::transaction_base& tx) {
    return repo::within{tx}.insert(item{.id = 0, .name = "pen"});
  }));
  CHECK(must(db.read([&](pqxx::transaction_base& tx) {
          return repo::within{tx}.get<item>(made.id);
        })).name == "pen");
  auto refused = db.write([](pqxx::transaction_base& tx) {
    tx.exec("INSERT INTO migrated VALUES (2)");
    must(repo::within{tx}.reload(item{.id = 99, .name = ""}));
  });
  CHECK(refused.error() == errc::not_found);
  CHECK(servers.primary().sql("SELECT count(*) FROM migrated") == "1");
  CHECK(db.read([](pqxx::transaction_base& tx) { tx.exec("DELETE FROM names"); }).error() ==
        errc::sql_failed);
  repo::local_database nobody{"postgresql://app@127.0.0.1:1/app", 500ms};
  CHECK(nobody.read([](pqxx::transaction_base&) {}).error() == errc::database_unavailable);
  for (const char* wrong : {"", "mysql://u:secret@h/db", "postgresql://h/db?foo=1"}) {
    repo::local_database unusable{wrong, 500ms};
    auto told = unusable.read([](pqxx::transaction_base&) {}).error();
    CHECK_MESSAGE(told == errc::invalid_argument, fly::to_string(told));
    CHECK(text_of(told).find("secret") == std::string::npos);
  }
}
