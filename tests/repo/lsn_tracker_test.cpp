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

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

#include "fly/actors/error.hpp"
#include "fly/actors/supervisor.hpp"
#include "fly/repo/role_board.hpp"
#include "fly/repo/transaction.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/postgres.hpp"

using namespace std::chrono_literals;
using fly::errc;
using fly::repo::lsn_tracker;
using fly::repo::position;
using fly::test::eventually;
using fly::test::postgres;

namespace {

using clock_type = std::chrono::steady_clock;

/// A tracker of one server, driven by an actor under a supervisor.
struct tracked {
  explicit tracked(caf::actor_system& system, const fly::test::postgres_server& server,
                   std::size_t waiters_max = 10'000)
      : roles(std::make_shared<fly::repo::role_board>(1h, [](const auto&) {})),
        tracker({.watcher = {.link = {.url = server.url()}}, .waiters_max = waiters_max}, roles),
        tree(system, {.restarts_max = 100}, {tracker.child()}) {
    REQUIRE(tree.wait_started(5s));
  }

  /// Waits in the calling thread.
  caf::error wait(const position& where, std::chrono::milliseconds timeout) {
    auto deadline = clock_type::now() + timeout;
    auto answer =
        fly::actors::ask<caf::unit_t>(deadline, [&](fly::actors::completion<caf::unit_t> done) {
          return tracker.wait_for(where, deadline, std::move(done));
        });
    return answer ? caf::error{} : answer.error();
  }

  caf::actor actor() const { return tree.which_children().front().handle; }

  std::shared_ptr<fly::repo::role_board> roles;
  lsn_tracker tracker;
  fly::actors::supervisor tree;
};

struct shop {
  explicit shop(std::size_t replicas) : servers(replicas) {
    servers.primary().sql("CREATE TABLE t (n int); GRANT ALL ON t TO app");
    servers.wait_caught_up();
    link = std::move(
        *fly::repo::connection::open({.url = servers.primary().url()}, clock_type::now() + 10s));
  }

  position write(int n = 1) {
    fly::repo::transaction tx{*link};
    tx.exec("INSERT INTO t VALUES (" + std::to_string(n) + ")");
    auto where = tx.finish();
    REQUIRE(where);
    return *where;
  }

  caf::actor_system_config config;
  caf::actor_system system{config};
  postgres servers;
  std::unique_ptr<fly::repo::connection> link;
};

struct one_replica : shop {
  one_replica() : shop(1) {}
};

struct two_replicas : shop {
  two_replicas() : shop(2) {}
};

} // namespace

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
    CHECK(clock_type::now() - before < 1s);
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
                  "fault 23: a position inside another session's record does not hang") {
  tracked local{system, servers.replica()};
  auto where = write(23);
  // What the flush position is when another session's record lies across the page border: a place
  // that no replay ends at, until somebody writes more.
  where.lsn = fly::repo::lsn{(where.lsn.bytes() / 8192 + 2) * 8192};

  auto before = clock_type::now();
  CHECK_FALSE(local.wait(where, 5s));
  CHECK(clock_type::now() - before < 2s);
  where.xid.reset();
  CHECK(local.wait(where, 200ms) == errc::not_visible);
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
  CHECK(clock_type::now() - before < 1s);
}

TEST_CASE_FIXTURE(one_replica, "a position of another database is refused at once") {
  tracked local{system, servers.replica()};
  auto where = write();
  where.system += 1;

  CHECK(local.wait(where, 30s) == errc::foreign_position);
}

TEST_CASE_FIXTURE(one_replica, "after a promotion old positions are answered, and new ones too") {
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
