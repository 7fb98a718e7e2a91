// Proves the floor's promise with three nodes and three real databases: a write from far away comes
// back readable, or with an error that says what is known.
#include "fly/repo/database.hpp"
#include "fly/repo/exec.hpp"

#include <atomic>
#include <chrono>
#include <future>
#include <optional>
#include <stdexcept>
#include <thread>

#include <doctest/doctest.h>

#include <caf/event_based_actor.hpp>

#include "tests/repo/far_shops.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;

TEST_CASE_FIXTURE(far_shops,
                  "fault 12: a transaction of many statements runs whole on the primary") {
  constexpr repo::write<std::string(std::int32_t)> order_many{"shop.order_many"};
  for (auto* it : {&syd, &lax, &ams})
    it->db->serve(
        order_many, [region = it->node.my_region()](pqxx::transaction_base& tx, std::int32_t last) {
          for (auto count : {3, 2, last})
            fly::repo::exec(tx, "INSERT INTO orders (item, count) VALUES ('many', $1)", count);
          return region + " " + tx.exec("SELECT count(*) FROM orders")[0][0].c_str();
        });

  auto placed = rpc_and_wait(*lax.db, order_many, 1);
  auto refused = rpc_and_wait(*lax.db, order_many, -1); // its third statement

  REQUIRE_MESSAGE(placed, fly::to_string(placed.error()));
  CHECK(**placed == "syd 3"); // it sees its own rows, where they are written
  CHECK(lax.count("many") == 3);
  REQUIRE_FALSE(refused);
  CHECK(refused.error() == errc::sql_failed);
  CHECK(syd.count("many") == 3);
}

TEST_CASE_FIXTURE(far_shops,
                  "a write from far away runs on the primary and is readable when it returns") {
  auto placed = rpc_and_wait(*lax.db, shop::place, "pen", 2);

  REQUIRE(placed);
  CHECK((*placed)->item == "pen");
  CHECK((*placed)->id == 1);
  CHECK(placed->visible());
  CHECK_FALSE(placed->late());
  CHECK(placed->position().timeline == 1);
  CHECK(placed->timing().in_transaction > 0us);
  CHECK(placed->timing().to_primary > 0us);
  CHECK(placed->timing().until_visible > 0us);
  CHECK(lax.count("pen") == 1);
}

TEST_CASE_FIXTURE(far_shops,
                  "on a node of the primary group a write runs there and waits for nothing") {
  auto placed = rpc_and_wait(*syd.db, shop::place, "pen", 2);

  REQUIRE(placed);
  CHECK(placed->visible());
  CHECK(placed->timing().until_visible == 0us);
  CHECK(syd.count("pen") == 1);
}

TEST_CASE_FIXTURE(far_shops, "100 writes from each far region are read back at once, none stale") {
  int stale = 0;
  for (int i = 0; i < 100; ++i)
    for (auto* far : {&lax, &ams}) {
      auto item = far->node.my_region() + std::to_string(i);
      auto placed = rpc_and_wait(*far->db, shop::place, item, 1);
      REQUIRE(placed);
      stale += far->count(item) != 1;
    }
  CHECK(stale == 0);
  CHECK(servers.primary().sql("SELECT count(*) FROM orders") == "200");
}

TEST_CASE_FIXTURE(far_shops, "an actor writes and waits without blocking its thread") {
  std::promise<std::optional<repo::committed<shop::order>>> heard;
  lax.node.system().spawn([&](caf::event_based_actor* self) {
    rpc_and_wait(self, *lax.db, shop::place, "ink", 3)
        .then([&](repo::committed<shop::order>& placed) { heard.set_value(placed); },
              [&](caf::error&) { heard.set_value(std::nullopt); });
  });
  auto placed = heard.get_future().get();

  REQUIRE(placed);
  CHECK(placed->visible());
  CHECK((*placed)->count == 3);
  CHECK(lax.count("ink") == 1);
}

TEST_CASE_FIXTURE(far_shops,
                  "a blocking write or read on a scheduler thread is refused, nothing ran") {
  std::promise<std::vector<caf::error>> heard;
  lax.node.system().spawn([&](caf::event_based_actor*) {
    auto placed = rpc_and_wait(*lax.db, shop::place, "ink", 3);
    auto read = lax.db->read([](pqxx::transaction_base&) { return 1; });
    auto late = lax.db->wait_for({}, 1s);
    heard.set_value(
        {placed ? caf::error{} : placed.error(), read ? caf::error{} : read.error(), late});
  });

  for (const auto& reason : heard.get_future().get())
    CHECK(reason == errc::blocking_refused);
  CHECK(syd.count("ink") == 0);
}

TEST_CASE_FIXTURE(far_shops,
                  "a write that is not waited for has a position to wait for elsewhere") {
  servers.replica(1).pause_replay();
  auto placed = rpc_primary(*lax.db, shop::place, "pen", 1);
  REQUIRE(placed);
  CHECK_FALSE(placed->visible());
  CHECK_FALSE(placed->late());

  CHECK_FALSE(lax.db->wait_for(placed->position(), 5s));
  CHECK(lax.count("pen") == 1);
  CHECK(ams.db->wait_for(placed->position(), 200ms) == errc::not_visible);
  CHECK(ams.count("pen") == 0);
  servers.replica(1).resume_replay();
  CHECK_FALSE(ams.db->wait_for(placed->position(), 5s));
  CHECK(ams.count("pen") == 1);
}

TEST_CASE_FIXTURE(far_shops,
                  "fault 14: a commit that is late here is a value that is not visible, in time") {
  servers.replica(0).pause_replay();
  auto before = std::chrono::steady_clock::now();
  auto placed = rpc_and_wait(lax.db->with({.timeout = 1500ms}), shop::place, "pen", 1);
  auto took = std::chrono::steady_clock::now() - before;
  servers.replica(0).resume_replay();

  REQUIRE(placed);
  CHECK_FALSE(placed->visible());
  CHECK(placed->late() == errc::not_visible);
  CHECK((*placed)->item == "pen");
  CHECK(took >= 1400ms);
  CHECK(took < 4s);
  CHECK_FALSE(lax.db->wait_for(placed->position(), 5s));
}

TEST_CASE_FIXTURE(far_shops, "fault 11: a write that is not waited for keeps its deadline too") {
  pqxx::connection other{servers.primary().url("postgres")};
  pqxx::work holds{other};
  holds.exec("LOCK TABLE orders");

  auto before = std::chrono::steady_clock::now();
  auto placed = rpc_primary(lax.db->with({.timeout = 400ms}), shop::place, "pen", 1);
  auto took = std::chrono::steady_clock::now() - before;

  CHECK_FALSE(placed);
  CHECK(took < 2s);
  holds.abort();
  CHECK(rpc_primary(*lax.db, shop::place, "ink", 1));
}

TEST_CASE_FIXTURE(far_shops, "the database's refusal reaches the far caller whole") {
  auto placed = rpc_and_wait(*lax.db, shop::place, "pen", 0);

  REQUIRE_FALSE(placed);
  CHECK(placed.error() == errc::sql_failed);
  auto details = details_of(placed.error());
  CHECK(details["sqlstate"] == "23514");
  CHECK(details["constraint"] == "positive");
  CHECK(details["table"] == "orders");
  CHECK(details["detail"].starts_with("Failing row contains"));
  CHECK(text_of(placed.error()) ==
        "new row for relation \"orders\" violates check constraint \"positive\"");
  CHECK(syd.count("pen") == 0);
}

TEST_CASE_FIXTURE(far_shops, "a get-or-create from a lagging region always finds its row") {
  int missing = 0;
  for (int i = 0; i < 50; ++i) {
    auto name = "name" + std::to_string(i);
    // Made elsewhere a moment ago: the second call writes nothing, and its row may not be here yet.
    servers.replica(0).pause_replay();
    REQUIRE(rpc_primary(*ams.db, shop::get_or_create, name));
    auto mine = std::async(std::launch::async,
                           [&] { return rpc_and_wait(*lax.db, shop::get_or_create, name); });
    std::this_thread::sleep_for(2ms);
    servers.replica(0).resume_replay();
    auto found = mine.get();
    REQUIRE(found);
    auto here = lax.db->read([&](pqxx::transaction_base& tx) {
      return fly::repo::exec(tx, "SELECT count(*) FROM names WHERE id = $1", **found)[0][0]
          .as<int>();
    });
    missing += !here || *here != 1;
  }
  CHECK(missing == 0);
}

TEST_CASE_FIXTURE(far_shops,
                  "one statement travels, with rows back, and is visible when it returns") {
  auto made = lax.db->execute(
      "INSERT INTO orders (item, count) VALUES ($1, $2), ($3, 7) RETURNING id, item, NULL", "cup",
      5, std::string{"it's"});
  REQUIRE(made);
  CHECK(made->visible());
  const auto& rows = **made;
  CHECK(rows.columns.size() == 3);
  CHECK(rows.size() == 2);
  CHECK(rows.affected_rows == 2);
  CHECK(*rows.get<std::int64_t>(0, "id") == 1);
  CHECK(*rows.get<std::string>(1, "item") == "it's");
  CHECK_FALSE(*rows.get<std::optional<std::string>>(0, 2));
  CHECK(rows.get<std::string>(0, 2).error() == errc::invalid_argument);
  CHECK(rows.get<std::int64_t>(0, "item").error() == errc::invalid_argument);
  CHECK(rows.get<std::string>(2, 0).error() == errc::invalid_argument);
  CHECK(rows.get<std::string>(0, "no").error() == errc::invalid_argument);
  CHECK(lax.count("cup") == 1);

  auto changed = lax.db->execute("UPDATE orders SET count = count + $1, item = $2", 1, nullptr);
  REQUIRE(changed);
  CHECK((*changed)->affected_rows == 2);
  CHECK((*changed)->empty());
  auto wrong = lax.db->execute("UPDATE nowhere SET x = 1");
  REQUIRE_FALSE(wrong);
  CHECK(details_of(wrong.error())["sqlstate"] == "42P01");
  auto two = lax.db->execute("SELECT 1; SELECT 2");
  CHECK(two.error() == errc::sql_failed);
  CHECK(lax.db->execute("ROLLBACK").error() == errc::function_failed);
}

TEST_CASE_FIXTURE(far_shops, "a read is on the local database and cannot write") {
  auto read = lax.db->read([](pqxx::transaction_base& tx) {
    return tx.exec("SELECT inet_server_port()")[0][0].as<int>();
  });
  CHECK(*read == servers.replica(0).port());

  auto wrote = syd.db->read([](pqxx::transaction_base& tx) {
    tx.exec("INSERT INTO orders (item, count) VALUES ('pen', 1)");
    return 1;
  });
  REQUIRE_FALSE(wrote);
  CHECK(wrote.error() == errc::sql_failed);
  CHECK(details_of(wrote.error())["sqlstate"] == "25006");
  CHECK(syd.db->role().role == repo::database_role::primary);

  auto threw = lax.db->read([](pqxx::transaction_base&) -> int { throw std::logic_error{"no"}; });
  CHECK(threw.error() == errc::function_failed);
  auto refused = lax.db->read([](pqxx::transaction_base&) -> caf::expected<int> {
    return make_error(errc::invalid_argument, "not today");
  });
  CHECK(refused.error() == errc::invalid_argument);
  CHECK(lax.db->read([](pqxx::transaction_base&) {}));
  CHECK(lax.db->with({.timeout = 500ms})
            .read([](pqxx::transaction_base& tx) { tx.exec("SELECT pg_sleep(5)"); })
            .error() == errc::sql_failed);
}

TEST_CASE_FIXTURE(far_shops, "functions that return nothing, or too much, are told apart") {
  REQUIRE(rpc_and_wait(*lax.db, shop::place, "pen", 1));
  auto dropped = rpc_and_wait(*lax.db, shop::drop, "pen");
  REQUIRE(dropped);
  CHECK(dropped->visible());
  CHECK(lax.count("pen") == 0);

  CHECK((*rpc_and_wait(*lax.db, shop::fill, 1000))->size() == 1000);
  CHECK(rpc_and_wait(*lax.db, shop::fill, 260'000).error() == errc::malformed_result);
}

TEST_CASE_FIXTURE(far_shops, "a write and a function of one name are not taken for each other") {
  constexpr rpc::function<shop::order(std::string, std::int32_t)> plain{"shop.place"};
  constexpr repo::write<shop::order(std::string)> other{"shop.place"};
  constexpr repo::write<int()> nobodys{"shop.nobodys"};

  CHECK(rpc_primary(lax.rpc, plain, "pen", 1).error() == errc::signature_mismatch);
  CHECK(rpc_and_wait(*lax.db, other, "pen").error() == errc::signature_mismatch);
  CHECK(code_of(rpc_and_wait(lax.db->with({.timeout = 1000ms}), nobodys).error()) ==
        errc::unknown_function);
  CHECK(syd.count("pen") == 0);
}

TEST_CASE_FIXTURE(far_shops,
                  "after pg_switch_wal and beside an open row a far write is as fast as before") {
  auto time = [&] {
    auto before = std::chrono::steady_clock::now();
    auto placed = rpc_and_wait(*lax.db, shop::place, "pen", 1);
    REQUIRE(placed);
    CHECK(placed->visible());
    return std::chrono::steady_clock::now() - before;
  };
  time();
  servers.primary().sql("SELECT pg_switch_wal()");
  CHECK(time() < 4s); // the originals hang for 5 s
  pqxx::connection other{servers.primary().url()};
  pqxx::work open{other};
  open.exec("INSERT INTO orders (item, count) VALUES ('open', 1)");
  for (int i = 0; i < 20; ++i)
    CHECK(time() < 4s); // the originals hang for 5 s
}
