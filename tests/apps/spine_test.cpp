// Proves the main job on real parts: a write from a far region comes back readable, whatever the
// replica, the log and the other sessions do meanwhile.
#include <atomic>
#include <set>
#include <thread>

#include <doctest/doctest.h>

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/exit_reason.hpp>
#include <caf/send.hpp>

#include "fly/actors/error.hpp"
#include "fly/actors/supervisor.hpp"
#include "fly/repo/rpc_and_wait.hpp"
#include "tests/apps/three_regions.hpp"

using namespace std::chrono_literals;
using fly::errc;
using fly::test::eventually;
using fly::test::get_or_create;
using fly::test::place_order;
using fly::test::three_regions;

namespace {

/// Calls `action` again and again on a thread of its own until it ends.
class meanwhile {
public:
  explicit meanwhile(std::function<void()> action)
      : thread_([this, action = std::move(action)] {
          while (!ending_)
            action();
        }) {}
  ~meanwhile() {
    ending_ = true;
    thread_.join();
  }

private:
  std::atomic<bool> ending_ = false;
  std::thread thread_;
};

/// Writes `count` orders from lax and reads each back at once; returns how many reads were stale.
int write_and_read_back(three_regions& cluster, const std::string& name, int count) {
  int stale = 0;
  std::set<std::int64_t> ids;
  for (int i = 0; i < count; ++i) {
    auto item = name + std::to_string(i);
    auto placed = fly::rpc_and_wait(cluster.lax().db, place_order, item);
    REQUIRE_MESSAGE(placed, fly::to_string(placed ? caf::error{} : placed.error()));
    REQUIRE(placed->visible());
    stale += cluster.lax().rows("orders", item) != 1;
    ids.insert(**placed);
  }
  CHECK(ids.size() == static_cast<std::size_t>(count));
  return stale;
}

} // namespace

TEST_CASE("1,000 writes from far away are read back at once while replay stops now and then") {
  three_regions cluster;
  int stale = 0;
  {
    meanwhile pauses{[&] {
      cluster.lax_database().pause_replay();
      std::this_thread::sleep_for(60ms);
      cluster.lax_database().resume_replay();
      std::this_thread::sleep_for(400ms);
    }};
    stale = write_and_read_back(cluster, "quiet ", 1000);
  }

  CHECK(stale == 0);
  CHECK(cluster.servers().primary().sql("SELECT count(*) FROM orders") == "1000");
}

TEST_CASE("1,000 writes from far away are read back at once beside two bulk writers") {
  three_regions cluster;
  cluster.servers().primary().sql("CREATE TABLE bulk (a int, b text)");
  auto bulk = [&] {
    cluster.servers().primary().sql(
        "INSERT INTO bulk SELECT i, repeat('x', 50) FROM generate_series(1, 500) i");
  };
  int stale = 0;
  {
    meanwhile one{bulk};
    meanwhile two{bulk};
    stale = write_and_read_back(cluster, "bulk ", 1000);
  }

  CHECK(stale == 0);
  CHECK(cluster.servers().primary().sql("SELECT count(*) FROM orders") == "1000");
}

TEST_CASE("a far write does not wait for a log switch or another session's open transaction") {
  three_regions cluster;
  auto timed = [&](const std::string& item) {
    auto began = std::chrono::steady_clock::now();
    auto placed = fly::rpc_and_wait(cluster.lax().db, place_order, item);
    REQUIRE(placed);
    CHECK(placed->visible());
    return std::chrono::steady_clock::now() - began;
  };
  timed("warm");

  SUBCASE("after pg_switch_wal() on a quiet primary") {
    for (int i = 0; i < 5; ++i) {
      cluster.servers().primary().sql("SELECT pg_switch_wal()");
      CHECK(timed("switch " + std::to_string(i)) < 4s); // the insert LSN would wait for minutes
    }
  }
  SUBCASE("while another session's row is uncommitted") {
    pqxx::connection other{cluster.servers().primary().url()};
    pqxx::work open{other};
    open.exec("INSERT INTO once (item) VALUES ('uncommitted')");
    for (int i = 0; i < 5; ++i)
      CHECK(timed("open " + std::to_string(i)) < 4s);
  }
}

TEST_CASE("fault 16: a get-or-create that wrote nothing returns, and its row is there to be read") {
  three_regions cluster;
  for (int i = 0; i < 20; ++i) {
    auto item = "item " + std::to_string(i);
    cluster.lax_database().pause_replay();
    REQUIRE(fly::rpc_primary(cluster.ams().db, get_or_create, item)); // lax does not have it yet
    std::thread resume{[&] {
      std::this_thread::sleep_for(20ms);
      cluster.lax_database().resume_replay();
    }};

    auto found = fly::rpc_and_wait(cluster.lax().db, get_or_create, item); // writes nothing
    auto rows = cluster.lax().rows("once", item);
    resume.join();

    REQUIRE(found);
    CHECK(found->visible());
    CHECK(rows == 1);
  }
}

TEST_CASE("100 callers are answered though their tracker is killed") {
  three_regions cluster;
  fly::actors::supervisor tree{cluster.lax().node.system(),
                               {.strategy = fly::actors::strategy::rest_for_one},
                               {fly::rpc::child(cluster.lax().rpc),
                                fly::repo::child(cluster.lax().db),
                                fly::repo::tracker_child(cluster.lax().db)}};
  REQUIRE(tree.wait_started(5s));
  cluster.lax_database().pause_replay();
  std::atomic<int> visible = 0;
  std::vector<std::thread> callers;
  for (int i = 0; i < 100; ++i)
    callers.emplace_back([&, i] {
      auto item = "waits " + std::to_string(i);
      auto placed = fly::rpc_and_wait(cluster.lax().db.with({.timeout = 20s}), place_order, item);
      visible += placed && placed->visible();
    });
  REQUIRE(eventually(
      [&] { return cluster.servers().primary().sql("SELECT count(*) FROM orders") == "100"; }));

  caf::anon_send_exit(tree.which_children().back().handle, caf::exit_reason::kill);
  REQUIRE(eventually([&] { return tree.which_children().back().restarts == 1; }));
  cluster.lax_database().resume_replay();
  for (auto& it : callers)
    it.join();

  CHECK(visible == 100);
}

TEST_CASE("an actor far away writes without blocking its thread") {
  three_regions cluster;
  std::atomic<int> answered = 0;
  std::atomic<int> visible = 0;
  auto& lax = cluster.lax();

  lax.node.system().spawn([&](caf::event_based_actor* self) {
    for (int i = 0; i < 50; ++i)
      fly::rpc_and_wait(self, lax.db, place_order, "actor " + std::to_string(i))
          .then(
              [&](fly::repo::committed<std::int64_t>& placed) {
                visible += placed.visible();
                ++answered;
              },
              [&](caf::error&) { ++answered; });
  });

  CHECK(eventually([&] { return answered == 50; }));
  CHECK(visible == 50);
}

TEST_CASE("an SQL error reaches the far caller whole") {
  three_regions cluster;
  REQUIRE(fly::rpc_and_wait(cluster.lax().db, place_order, "twice"));

  auto again = fly::rpc_and_wait(cluster.lax().db, place_order, "twice");

  REQUIRE_FALSE(again);
  CHECK(again.error() == errc::sql_failed);
  auto details = fly::details_of(again.error());
  CHECK(details["sqlstate"] == "23505");
  CHECK(details["constraint"] == "orders_item_key");
  CHECK(details["detail"].find("(item)=(twice)") != std::string::npos);
  CHECK(fly::text_of(again.error()).find("duplicate key") != std::string::npos);
}

TEST_CASE("one statement from far away runs on the primary and is readable here") {
  three_regions cluster;

  auto made = cluster.lax().db.execute("INSERT INTO orders (item) VALUES ($1) RETURNING id", "one");

  REQUIRE(made);
  CHECK(cluster.lax().rows("orders", "one") == 1);
}

TEST_CASE("a late replica is a value, not an error") {
  three_regions cluster;
  cluster.lax_database().pause_replay();

  auto placed = fly::rpc_and_wait(cluster.lax().db.with({.timeout = 1500ms}), place_order, "late");

  REQUIRE(placed);
  CHECK_FALSE(placed->visible());
  CHECK(cluster.lax().db.wait_for(placed->position(), 50ms) == errc::not_visible);
  cluster.lax_database().resume_replay();
  CHECK_FALSE(cluster.lax().db.wait_for(placed->position(), 10s));
  CHECK(cluster.lax().rows("orders", "late") == 1);
}
