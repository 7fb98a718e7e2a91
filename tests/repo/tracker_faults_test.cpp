// Proves, on real replicas, that the tracker has none of the faults of the originals.
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

TEST_CASE_FIXTURE(two_replicas, "fault 1: each of two trackers waits for its own database") {
  tracked near{system, servers.replica(0)};
  tracked far{system, servers.replica(1)};
  servers.replica(1).pause_replay();
  auto where = write();

  CHECK_FALSE(near.wait(where, 5s));
  CHECK(far.wait(where, 300ms) == errc::not_visible);
  servers.replica(1).resume_replay();
  CHECK_FALSE(far.wait(where, 5s));
}

TEST_CASE_FIXTURE(one_replica, "fault 2: one caller may wait for several positions at a time") {
  tracked local{system, servers.replica()};
  servers.replica().pause_replay();
  std::atomic<int> answered = 0;
  std::promise<void> all;
  std::vector<position> written;
  for (int i = 0; i < 10; ++i)
    written.push_back(write(i));

  // One actor is the caller of all: none of its waits takes the place of another.
  system.spawn([&](caf::event_based_actor* self) {
    for (const auto& where : written) {
      auto deadline = clock_type::now() + 10s;
      fly::actors::pending<caf::unit_t>{self, deadline,
                                        [&](fly::actors::completion<caf::unit_t> done) {
                                          return local.tracker.wait_for(where, deadline,
                                                                        std::move(done));
                                        }}
          .then(
              [&] {
                if (++answered == 10)
                  all.set_value();
              },
              [](caf::error&) {});
    }
  });
  REQUIRE(eventually([&] { return local.tracker.waiting() == 10; }));
  CHECK(answered == 0);
  servers.replica().resume_replay();

  CHECK(all.get_future().wait_for(10s) == std::future_status::ready);
}

TEST_CASE_FIXTURE(one_replica, "fault 3: no wake-up is lost between the question and the wait") {
  tracked local{system, servers.replica()};

  // Each wait begins at another moment of the replay of its own write; none may sleep on.
  std::mt19937 random{3};
  for (int i = 0; i < 300; ++i) {
    auto where = write(i);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 1500));
    auto before = clock_type::now();
    REQUIRE_FALSE(local.wait(where, 5s));
    CHECK(clock_type::now() - before < 4s);
    // Nothing moves any more: who comes now must hear of what was seen before.
    REQUIRE_FALSE(local.wait(where, 1s));
  }
}

TEST_CASE_FIXTURE(one_replica,
                  "fault 4: after its deadline a wait leaves nothing, not even a message") {
  tracked local{system, servers.replica()};
  servers.replica().pause_replay();
  auto where = write();
  std::atomic<int> heard = 0;
  auto deadline = clock_type::now() + 50ms;
  auto end = local.tracker.wait_for(where, deadline, [&](caf::expected<caf::unit_t> outcome) {
    CHECK(outcome.error() == errc::not_visible);
    ++heard;
  });

  REQUIRE(eventually([&] { return heard == 1; }));
  CHECK(local.tracker.waiting() == 0);
  end();
  servers.replica().resume_replay();
  CHECK_FALSE(local.wait(where, 5s));
  CHECK(heard == 1);
}

TEST_CASE_FIXTURE(one_replica, "fault 5: a caller that died leaves no wait behind") {
  tracked local{system, servers.replica()};
  servers.replica().pause_replay();
  auto where = write();
  auto caller = system.spawn([&](caf::event_based_actor* self) -> caf::behavior {
    auto deadline = clock_type::now() + 500ms;
    fly::actors::pending<caf::unit_t>{self, deadline,
                                      [&](fly::actors::completion<caf::unit_t> done) {
                                        return local.tracker.wait_for(where, deadline,
                                                                      std::move(done));
                                      }}
        .then([] {}, [](caf::error&) {});
    return {[](int) {}};
  });
  REQUIRE(eventually([&] { return local.tracker.waiting() == 1; }));

  caf::anon_send_exit(caller, caf::exit_reason::kill);

  CHECK(eventually([&] { return local.tracker.waiting() == 0; }, 3s));
}

TEST_CASE_FIXTURE(one_replica,
                  "fault 9: outages of the database end nothing, and waits outlive them") {
  tracked local{system, servers.replica()};
  auto where = write();
  REQUIRE_FALSE(local.wait(where, 5s));
  auto first = local.actor();

  for (int i = 0; i < 3; ++i) {
    servers.replica().kill();
    where = write(i);
    CHECK(local.wait(where, 100ms) == errc::not_visible);
    auto answer = std::async(std::launch::async, [&] { return local.wait(where, 20s); });
    servers.replica().start();
    CHECK_FALSE(answer.get());
  }
  CHECK(local.actor() == first);
  // One connection for all who wait, none of it from the application's pool.
  CHECK(servers.replica().sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'") ==
        "1");
}

TEST_CASE_FIXTURE(one_replica,
                  "fault 9: a tracker asks fast while somebody waits, else hardly at all") {
  tracked local{system, servers.replica()};
  REQUIRE_FALSE(local.wait(write(), 5s));
  auto asked = [&] {
    return std::stol(
        servers.replica().sql("SELECT xact_commit FROM pg_stat_database WHERE datname = 'app'"));
  };

  auto before = asked();
  std::this_thread::sleep_for(3s);
  auto idle = asked() - before;

  CHECK(idle < 20);
}

TEST_CASE_FIXTURE(one_replica, "fault 16: a function that wrote nothing does not wait for ever") {
  tracked local{system, servers.replica()};
  // A quiet primary after a segment switch: the insert position names a place that nobody reaches.
  write();
  servers.primary().sql("SELECT pg_switch_wal()");
  fly::repo::transaction tx{*link};
  tx.exec("SELECT count(*) FROM t");
  auto where = tx.finish();

  REQUIRE(where);
  CHECK_FALSE(where->xid);
  CHECK_FALSE(local.wait(*where, 2s));
}

TEST_CASE_FIXTURE(one_replica,
                  "fault 22: a tracker on a database that is no standby does not spin") {
  fly::test::postgres other{fly::test::postgres::foreign{}};
  tracked local{system, other.primary()};
  auto where = write();
  CHECK(local.wait(where, 5s) == errc::foreign_position);
  auto asked = [&] {
    return std::stol(
        other.primary().sql("SELECT xact_commit FROM pg_stat_database WHERE datname = 'app'"));
  };

  auto before = asked();
  for (int i = 0; i < 6; ++i) { // as a far region would that goes on writing elsewhere
    CHECK(local.wait(where, 5s) == errc::foreign_position);
    std::this_thread::sleep_for(500ms);
  }

  CHECK(asked() - before < 60); // 3 s; the original asks 2,700 times
}

TEST_CASE_FIXTURE(one_replica,
                  "fault 23: a position inside another session's record does not hang") {
  tracked local{system, servers.replica()};
  auto where = write(23);
  // What the flush position is when another session's record lies across the page border: a place
  // that no replay ends at, until somebody writes more.
  where.lsn = fly::repo::lsn{(where.lsn.bytes() / 8192 + 2) * 8192};

  auto before = clock_type::now();
  CHECK_FALSE(local.wait(where, 5s));
  CHECK(clock_type::now() - before < 4s);
  where.xid.reset();
  CHECK(local.wait(where, 200ms) == errc::not_visible);
}
