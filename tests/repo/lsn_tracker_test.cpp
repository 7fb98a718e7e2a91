// Proves that whoever waits for a position is answered once, when the local database has it or the
// time is over, whatever happens to the database and to the actor meanwhile.
#include "fly/repo/lsn_tracker.hpp"

#include <atomic>
#include <chrono>
#include <future>
#include <random>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include <pqxx/pqxx>

#include <caf/send.hpp>

#include "tests/repo/tracked.hpp"

using namespace std::chrono_literals;
using fly::errc;
using fly::repo::position;
using fly::test::eventually;
using fly::test::one_replica;
using fly::test::tracked;
using fly::test::two_replicas;
using clock_type = std::chrono::steady_clock;

TEST_CASE_FIXTURE(one_replica, "who waits is answered when the replica has the row, not before") {
  tracked local{system, servers.replica()};
  servers.replica().pause_replay();
  auto where = write(7);

  CHECK(local.wait(where, 200ms) == errc::not_visible);
  auto answer = std::async(std::launch::async, [&] { return local.wait(where, 10s); });
  CHECK(answer.wait_for(200ms) == std::future_status::timeout);
  servers.replica().resume_replay();

  CHECK_FALSE(answer.get());
  CHECK(servers.replica().sql("SELECT count(*) FROM t WHERE n = 7") == "1");
  CHECK(local.tracker.waiting() == 0);
}

TEST_CASE_FIXTURE(one_replica, "on the primary itself a position is visible at once") {
  tracked local{system, servers.primary()};

  CHECK_FALSE(local.wait(write(), 5s));
}

TEST_CASE_FIXTURE(one_replica,
                  "the switch of a segment and another's open row do not slow a wait") {
  tracked local{system, servers.replica()};
  pqxx::connection other{servers.primary().url()};
  pqxx::work open{other};
  open.exec("INSERT INTO t VALUES (99)");
  servers.primary().sql("SELECT pg_switch_wal()");

  auto before = clock_type::now();
  CHECK_FALSE(local.wait(write(), 5s));
  CHECK(clock_type::now() - before < 4s);
}

TEST_CASE_FIXTURE(one_replica, "what a wait holds may use the tracker when it is destroyed") {
  tracked local{system, servers.replica()};
  auto where = write();
  std::promise<void> destroyed;
  std::shared_ptr<int> held{new int{1}, [&](const int* number) {
                              local.tracker.waiting(); // as the end of a database does
                              delete number;
                              destroyed.set_value();
                            }};

  local.tracker.wait_for(where, clock_type::now() + 5s, [held = std::move(held)](const auto&) {});

  CHECK(destroyed.get_future().wait_for(5s) == std::future_status::ready);
}

TEST_CASE_FIXTURE(one_replica, "a position of another database is refused at once") {
  tracked local{system, servers.replica()};
  auto where = write();
  where.system += 1;

  CHECK(local.wait(where, 30s) == errc::foreign_position);
}

TEST_CASE_FIXTURE(one_replica,
                  "fault 10: after a promotion old positions are answered, and new ones too") {
  tracked local{system, servers.replica()};
  auto before = write(1);
  REQUIRE_FALSE(local.wait(before, 5s));
  servers.wait_caught_up();
  servers.primary().stop();
  servers.replica().promote();

  CHECK_FALSE(local.wait(before, 5s));
  link = std::move(
      *fly::repo::connection::open({.url = servers.replica().url()}, clock_type::now() + 10s));
  auto after = write(2);
  CHECK(after.timeline == 2);
  CHECK_FALSE(local.wait(after, 5s));
  after.xid.reset(); // as of a write that wrote nothing: the log alone tells
  CHECK_FALSE(local.wait(after, 5s));
  CHECK(local.tracker.current()->timeline == 2);
}

TEST_CASE_FIXTURE(one_replica, "more waits than the bound are refused") {
  tracked local{system, servers.replica(), 1};
  servers.replica().pause_replay();
  auto where = write();
  auto answer = std::async(std::launch::async, [&] { return local.wait(where, 10s); });
  REQUIRE(eventually([&] { return local.tracker.waiting() == 1; }));

  CHECK(local.wait(where, 1s) == errc::overloaded);
  servers.replica().resume_replay();
  CHECK_FALSE(answer.get());
}

TEST_CASE_FIXTURE(
    one_replica, "a tracker that is killed while 100 wait is started again, and all are answered") {
  tracked local{system, servers.replica()};
  servers.replica().pause_replay();
  std::atomic<int> good = 0;
  std::atomic<int> bad = 0;
  for (int i = 0; i < 100; ++i)
    local.tracker.wait_for(write(i), clock_type::now() + 20s,
                           [&](caf::expected<caf::unit_t> heard) { ++(heard ? good : bad); });
  auto first = local.actor();

  caf::anon_send_exit(first, caf::exit_reason::kill);
  REQUIRE(eventually([&] { return local.actor() && local.actor() != first; }));
  CHECK(local.tracker.waiting() == 100);
  servers.replica().resume_replay();

  CHECK(eventually([&] { return good == 100; }));
  CHECK(bad == 0);
}

TEST_CASE_FIXTURE(one_replica, "a tracker that closes answers all who wait") {
  tracked local{system, servers.replica()};
  servers.replica().pause_replay();
  auto where = write();
  auto answer = std::async(std::launch::async, [&] { return local.wait(where, 10s); });
  REQUIRE(eventually([&] { return local.tracker.waiting() == 1; }));

  local.tracker.close();

  CHECK(answer.get() == errc::shutting_down);
  CHECK(local.wait(where, 10s) == errc::shutting_down);
}

TEST_CASE_FIXTURE(one_replica,
                  "1,000 waits are answered truly while replay is paused now and then") {
  tracked local{system, servers.replica()};
  std::atomic<bool> over = false;
  std::thread pauses{[&] {
    while (!over) {
      servers.replica().pause_replay();
      std::this_thread::sleep_for(30ms);
      servers.replica().resume_replay();
      std::this_thread::sleep_for(100ms);
    }
  }};
  std::atomic<int> stale = 0;
  std::atomic<int> late = 0;
  std::vector<std::thread> writers;
  for (int w = 0; w < 4; ++w)
    writers.emplace_back([&, w] {
      auto mine = std::move(
          *fly::repo::connection::open({.url = servers.primary().url()}, clock_type::now() + 10s));
      pqxx::connection reader{servers.replica().url()};
      for (int i = 0; i < 250; ++i) {
        auto n = std::to_string(w * 1000 + i);
        fly::repo::transaction tx{*mine};
        tx.exec("INSERT INTO t VALUES (" + n + ")");
        auto where = tx.finish();
        if (!where || local.wait(*where, 20s)) {
          ++late;
          continue;
        }
        pqxx::nontransaction look{reader};
        if (look.exec("SELECT count(*) FROM t WHERE n = " + n)[0][0].as<int>() != 1)
          ++stale;
      }
    });
  for (auto& it : writers)
    it.join();
  over = true;
  pauses.join();

  CHECK(stale == 0);
  CHECK(late == 0);
  CHECK(local.tracker.waiting() == 0);
}
