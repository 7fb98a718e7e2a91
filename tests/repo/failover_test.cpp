// Proves what callers see while databases change their role, go away and come back, and while the
// user's supervisor restarts the actors.
#include "fly/repo/database.hpp"

#include <atomic>
#include <chrono>
#include <future>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

#include "fly/actors/supervisor.hpp"
#include "fly/repo/local_database.hpp"
#include "tests/repo/far_shops.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;
using repo::database_role;

TEST_CASE_FIXTURE(far_shops, "a node announces what its database is") {
  CHECK(syd.db->role().role == database_role::primary);
  CHECK(lax.db->role().role == database_role::replica);
  CHECK(lax.db->role().server.in_recovery);
  CHECK(lax.node.primary_region() == "syd");
  CHECK(syd.node.is_primary());
  for (const auto& it : lax.node.views()) {
    CHECK(it.database.system == syd.db->role().server.system);
    CHECK(it.database.timeline == 1);
    CHECK(it.database.lsn > 0);
  }
}

TEST_CASE_FIXTURE(far_shops, "fault 9: a region whose database is down stays a member, and heals") {
  servers.replica(0).stop();

  auto read = lax.db->with({.timeout = 500ms}).read([](pqxx::transaction_base&) {});
  CHECK(read.error() == errc::database_unavailable);
  CHECK(eventually([&] { return lax.db->role().role == database_role::unreachable; }));
  CHECK(eventually([&] {
    for (const auto& it : syd.node.views())
      if (it.who.region == "lax")
        return it.database.role == cluster::claim::role::unreachable &&
               it.database.reason.find("refused") != std::string::npos;
    return false;
  }));
  // A write still runs on the primary; it is not visible here.
  auto placed = rpc_and_wait(lax.db->with({.timeout = 1500ms}), shop::place, "pen", 1);
  REQUIRE(placed);
  CHECK_FALSE(placed->visible());

  servers.replica(0).start();
  CHECK_FALSE(lax.db->wait_for(placed->position(), 10s));
  CHECK(lax.count("pen") == 1);
  CHECK(eventually([&] { return lax.db->role().role == database_role::replica; }));
}

TEST_CASE_FIXTURE(far_shops, "a read from a frozen database ends in time, and heals") {
  CHECK(lax.count("pen") == 0); // a session is open, and will be silent
  servers.replica(0).freeze();

  for (int i = 0; i < 3; ++i) { // then none is, and none can be opened
    auto before = std::chrono::steady_clock::now();
    auto read = lax.db->with({.timeout = 300ms}).read([](pqxx::transaction_base& tx) {
      tx.exec("SELECT count(*) FROM orders");
    });
    auto took = std::chrono::steady_clock::now() - before;
    CHECK(read.error() == errc::database_unavailable);
    CHECK(took < 2s); // of the 3 s that opening may take
  }

  servers.replica(0).thaw();
  CHECK(eventually([&] { return bool(lax.db->read([](pqxx::transaction_base&) {})); }));
}

TEST_CASE_FIXTURE(far_shops, "a replica that is promoted takes the writes over") {
  REQUIRE(rpc_and_wait(*ams.db, shop::place, "before", 1));
  servers.wait_caught_up();
  servers.primary().stop();
  servers.replica(0).promote();

  REQUIRE(eventually([&] { return ams.node.primary_region() == "lax"; }));
  auto placed = rpc_primary(lax.db->with({.timeout = 10s}), shop::place, "after", 1);
  REQUIRE(placed);
  CHECK(placed->position().timeline == 2);
  CHECK(placed->visible());
  CHECK(lax.count("before") == 1);
  auto far = rpc_primary(ams.db->with({.timeout = 10s}), shop::place, "far", 1);
  REQUIRE(far);
  CHECK(lax.count("far") == 1);
}

TEST_CASE_FIXTURE(far_shops,
                  "PRIMARY_REGION may change at a deploy, before the primary moves or after") {
  std::vector<std::string> peers{syd.address(), lax.address(), ams.address()};
  auto labelled = [&](const char* region, const postgres_server& database) {
    auto where = far_options(region, peers);
    where.primary_region = "lax"; // the others say syd
    auto made = std::make_unique<far_shop>(where, database.url());
    REQUIRE_FALSE(made->node.join());
    return made;
  };
  auto in_syd = labelled("syd", servers.primary());
  peers.push_back(in_syd->address());
  auto in_lax = labelled("lax", servers.replica(0));
  auto write_from_all = [&](const std::string& item, std::uint32_t timeline) {
    for (auto* from : {&syd, &lax, &ams, in_syd.get(), in_lax.get()}) {
      auto placed = rpc_primary(*from->db, shop::place, item, 1);
      REQUIRE_MESSAGE(placed, fly::to_string(placed.error()));
      CHECK(placed->position().timeline == timeline);
    }
  };
  auto all_know = [&](const std::string& region) {
    return eventually([&] {
      for (auto* each : {&syd, &lax, &ams, in_syd.get(), in_lax.get()})
        if (each->node.primary_region() != region || each->node.primary_group().size() != 2)
          return false;
      return true;
    });
  };
  CHECK(all_know("syd"));
  write_from_all("before", 1);

  servers.wait_caught_up();
  servers.replica(0).promote();
  CHECK(all_know("lax"));
  write_from_all("after", 2);
  CHECK(in_lax->count("after") == 5);
}

TEST_CASE_FIXTURE(far_shops,
                  "a database that turns read-only revokes its claim at once, nothing ran") {
  REQUIRE(rpc_and_wait(*lax.db, shop::place, "before", 1));
  servers.primary().sql("ALTER DATABASE app SET default_transaction_read_only = on;"
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE usename = 'app' AND pid <> pg_backend_pid()");

  auto placed = rpc_and_wait(lax.db->with({.timeout = 700ms}), shop::place, "pen", 1);

  REQUIRE_FALSE(placed);
  CHECK(effect_of(placed.error()) == effect::nothing_ran);
  CHECK(syd.db->role().role == database_role::replica);
  CHECK(eventually([&] { return !syd.node.is_primary(); }));
  CHECK(syd.count("pen") == 0);
  servers.primary().sql("BEGIN READ WRITE; "
                        "ALTER DATABASE app RESET default_transaction_read_only; COMMIT");
  auto again = rpc_and_wait(lax.db->with({.timeout = 10s}), shop::place, "pen", 1);
  CHECK_MESSAGE(again, fly::to_string(again ? caf::error{} : again.error()));
  CHECK(syd.count("pen") == 1);
}

TEST_CASE_FIXTURE(far_shops,
                  "a primary that restarts: nothing ran, or unknown; then all is well again") {
  std::atomic<bool> over = false;
  std::atomic<int> good = 0;
  std::atomic<int> nothing = 0;
  std::atomic<int> unknown = 0;
  std::thread writer{[&] {
    for (int i = 0; !over; ++i) {
      auto placed = rpc_primary(lax.db->with({.timeout = 2s}), shop::place, "pen", i + 1);
      if (placed)
        ++good;
      else
        ++(effect_of(placed.error()) == effect::unknown ? unknown : nothing);
    }
  }};
  REQUIRE(eventually([&] { return good > 20; }));
  servers.primary().restart();
  auto before = good.load();
  bool healed = eventually([&] { return good > before + 20; });
  over = true;
  writer.join();

  CHECK(healed);
  auto rows = std::stoi(servers.primary().sql("SELECT count(*) FROM orders"));
  CHECK(rows >= good);
  CHECK(rows <= good + unknown);
}

TEST_CASE_FIXTURE(
    far_shops,
    "the user's supervisor restarts repo and tracker while 100 wait, and all are answered") {
  actors::supervisor tree{
      lax.node.system(),
      {.strategy = actors::strategy::rest_for_one, .restarts_max = 10},
      {rpc::child(lax.rpc), repo::child(*lax.db), repo::tracker_child(*lax.db)}};
  REQUIRE(tree.wait_started(5s));
  servers.replica(0).pause_replay();
  std::atomic<int> visible = 0;
  std::vector<std::thread> callers;
  std::atomic<int> begun = 0;
  for (int i = 0; i < 100; ++i)
    callers.emplace_back([&, i] {
      ++begun;
      auto placed = rpc_and_wait(lax.db->with({.timeout = 20s}), shop::place, "pen", i + 1);
      if (placed && placed->visible())
        ++visible;
    });
  REQUIRE(
      eventually([&] { return servers.primary().sql("SELECT count(*) FROM orders") == "100"; }));
  for (int kills = 0; kills < 2; ++kills) {
    auto first = tree.which_children().back().handle;
    caf::anon_send_exit(first, caf::exit_reason::kill);
    REQUIRE(eventually([&] {
      auto now = tree.which_children().back().handle;
      return now && now != first;
    }));
  }
  CHECK(visible == 0);
  servers.replica(0).resume_replay();
  for (auto& it : callers)
    it.join();

  CHECK(visible == 100);
}

TEST_CASE_FIXTURE(far_shops,
                  "fault 17: an outage of the local database ends no child of the user's tree") {
  actors::supervisor tree{
      lax.node.system(),
      {.strategy = actors::strategy::rest_for_one, .restarts_max = 0},
      {rpc::child(lax.rpc), repo::child(*lax.db), repo::tracker_child(*lax.db)}};
  REQUIRE(tree.wait_started(5s));
  auto handles = [&] {
    std::vector<caf::actor> result;
    for (const auto& it : tree.which_children())
      result.push_back(it.handle);
    return result;
  };
  auto before = handles();
  REQUIRE(rpc_and_wait(*lax.db, shop::place, "before", 1));

  servers.replica(0).kill();
  auto until = std::chrono::steady_clock::now() + 4s;
  while (std::chrono::steady_clock::now() < until) {
    auto placed = rpc_primary(lax.db->with({.timeout = 2s}), shop::place, "pen", 1);
    CHECK_MESSAGE(placed, fly::to_string(placed ? caf::error{} : placed.error()));
    auto late = rpc_and_wait(lax.db->with({.timeout = 800ms}), shop::place, "ink", 1);
    CHECK((late && !late->visible()));
    CHECK_FALSE(lax.db->with({.timeout = 100ms}).read([](pqxx::transaction_base&) {}));
  }
  servers.replica(0).start();

  CHECK(handles() == before);
  CHECK(eventually([&] {
    auto placed = rpc_and_wait(lax.db->with({.timeout = 2s}), shop::place, "after", 1);
    return placed && placed->visible();
  }));
  // The pool tries again in its own time, at most a second or so later.
  REQUIRE(eventually([&] { return bool(lax.db->read([](pqxx::transaction_base&) {})); }));
  CHECK(lax.count("after") >= 1);
}

TEST_CASE_FIXTURE(far_shops,
                  "after the user's supervisor has ended the database drives itself again") {
  {
    actors::supervisor tree{
        lax.node.system(), {}, {repo::child(*lax.db), repo::tracker_child(*lax.db)}};
    REQUIRE(tree.wait_started(5s));
    CHECK(rpc_and_wait(*lax.db, shop::place, "pen", 1)->visible());
  }
  CHECK(rpc_and_wait(*lax.db, shop::place, "pen", 1)->visible());
  servers.replica(0).stop();
  CHECK(eventually([&] { return lax.db->role().role == database_role::unreachable; }));
}

TEST_CASE_FIXTURE(far_shops,
                  "fault 6: a primary's node that goes is an error that says so, not a result") {
  pqxx::connection other{servers.primary().url("postgres")};
  pqxx::work holds{other};
  holds.exec("LOCK TABLE orders");
  auto running = std::async(std::launch::async, [&] {
    return rpc_and_wait(lax.db->with({.timeout = 20s}), shop::place, "pen", 1);
  });
  REQUIRE(eventually([&] { return syd.rpc.counts().serving == 1; }));
  syd.node.leave(); // with the call still running

  auto cut_off = running.get();
  REQUIRE_FALSE(cut_off);
  CHECK(cut_off.error() == errc::member_lost);
  holds.abort();
  syd.db.reset();
  auto placed = rpc_and_wait(lax.db->with({.timeout = 500ms}), shop::place, "pen", 1);
  REQUIRE_FALSE(placed);
  CHECK(effect_of(placed.error()) == effect::nothing_ran);
}

TEST_CASE("a write that is refused revokes the claim at once, not at the next look") {
  postgres servers;
  cluster::node node{far_options("syd", {})};
  rpc::endpoint rpc{node};
  auto settings = database_options(servers.primary().url());
  settings.role_interval = 60s;
  settings.fresh_interval = 60s;
  repo::database db{rpc, settings};
  REQUIRE_FALSE(node.join());
  REQUIRE(eventually([&] { return db.role().role == database_role::primary; }));
  servers.primary().sql("ALTER DATABASE app SET default_transaction_read_only = on");

  auto made = db.with({.timeout = 300ms}).execute("CREATE TABLE t (n int)");

  REQUIRE_FALSE(made);
  CHECK(effect_of(made.error()) == effect::nothing_ran);
  CHECK(db.role().role == database_role::replica);
  CHECK(eventually([&] { return !node.is_primary(); }));
}

TEST_CASE("options that cannot be used are told by every call, without the password") {
  cluster::node node{far_options("syd", {})};
  rpc::endpoint rpc{node};
  REQUIRE_FALSE(node.join());
  repo::database db{rpc, database_options("postgres://u:secret@h:0/d")};

  CHECK(db.usable() == errc::invalid_argument);
  CHECK(db.serve(shop::drop, [](pqxx::transaction_base&, std::string) {}) ==
        errc::invalid_argument);
  CHECK(db.read([](pqxx::transaction_base&) {}).error() == errc::invalid_argument);
  CHECK(db.execute("SELECT 1").error() == errc::invalid_argument);
  CHECK(rpc_and_wait(db, shop::drop, "x").error() == errc::invalid_argument);
  CHECK(db.wait_for({}, 1s) == errc::invalid_argument);
  CHECK(db.role().role == database_role::unreachable);
  CHECK(db.role().reason.find("secret") == std::string::npos);
}

TEST_CASE_FIXTURE(far_shops, "a timeout that is none is refused by name, and nothing is written") {
  auto where = rpc_and_wait(*lax.db, shop::place, "first", 1)->position();
  auto names = [](const caf::error& reason, const std::string& what) {
    return reason == errc::invalid_argument && text_of(reason).find(what) != std::string::npos;
  };
  auto none = [](pqxx::transaction_base&) { return 1; };
  for (auto bad : {0ms, -5ms, std::chrono::milliseconds{24h} + 1ms}) {
    auto what = "timeout is " + std::to_string(bad.count()) + " ms";
    auto db = lax.db->with({.timeout = bad});
    CHECK(names(rpc_and_wait(db, shop::place, "bad", 1).error(), what));
    CHECK(names(rpc_primary(db, shop::place, "bad", 1).error(), what));
    CHECK(names(db.execute("DELETE FROM orders").error(), what));
    CHECK(names(db.outcome("cart-17").error(), what));
    CHECK(names(db.query("SELECT 1").error(), what));
    CHECK(names(db.read(none).error(), what));
    CHECK(names(lax.db->wait_for(where, bad), what));
    CHECK(names(lax.db->wait_for(where, repo::everywhere, bad), what));
    repo::local_database local{servers.primary().url(), bad};
    CHECK(names(local.read(none).error(), what));
  }
  CHECK(servers.primary().sql("SELECT count(*) FROM orders") == "1");
}
