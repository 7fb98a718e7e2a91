// Proves what the database does with the lease and the epoch: one has it, each turn has an epoch of
// its own, and the fence lets nobody commit in a turn that is over.
#include "fly/repo/lease.hpp"

#include <future>
#include <string>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/repo/schema.hpp"
#include "tests/repo/one_server.hpp"
#include "tests/support/eventually.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;
using cluster::epoch;
using repo::fence_of;
using repo::pq_link;

namespace {

pq_link::time_point soon() {
  return std::chrono::steady_clock::now() + 20s;
}

cluster::member who(const std::string& id, std::uint64_t incarnation = 1) {
  return {.id = id, .incarnation = incarnation};
}

pq_link open(const postgres_server& server, const std::string& role = "app") {
  auto opened = pq_link::open({.url = server.url(role)}, soon());
  REQUIRE(opened);
  return std::move(*opened);
}

repo::lease_answer take(pq_link& link, const cluster::member& me,
                        std::chrono::milliseconds lasts = 30s) {
  auto answer = take_lease(link, me, lasts, soon());
  REQUIRE_MESSAGE(answer, fly::to_string(answer ? caf::error{} : answer.error()));
  return *answer;
}

/// A server with fly's tables, and two who want to lead.
struct lease_server : one_server {
  explicit lease_server(std::size_t replicas = 0)
      : one_server(replicas), a(open(servers.primary())), b(open(servers.primary())) {
    REQUIRE_FALSE(ensure_schema(a, soon()));
  }

  /// Waits until a session waits for another one's lock; false where `all` is over before.
  template <class T>
  bool waits_for_lock(const std::future<T>& all) {
    return eventually([&] {
             return servers.primary().sql("SELECT count(*) FROM pg_locks WHERE NOT granted") !=
                        "0" ||
                    all.wait_for(0s) == std::future_status::ready;
           }) &&
           all.wait_for(0s) != std::future_status::ready;
  }

  pq_link a;
  pq_link b;
};

struct lease_and_replica : lease_server {
  lease_and_replica() : lease_server(1) {}
};

} // namespace

TEST_CASE_FIXTURE(lease_server, "one has the lease, renews it in the same epoch, and others wait") {
  auto first = take(a, who("a"));
  CHECK(first.held);
  CHECK(first.turn == epoch{1, 1});
  CHECK(first.left > 29s);

  auto refused = take(b, who("b"));
  CHECK_FALSE(refused.held);
  CHECK(refused.holder == "a");
  CHECK(refused.turn == first.turn);
  CHECK(refused.left <= first.left);

  auto again = take(a, who("a"), 500ms);
  CHECK(again.held);
  CHECK(again.turn == first.turn);
  CHECK(again.left <= 500ms);
}

TEST_CASE_FIXTURE(lease_server, "a lease that ran out is taken by another, in the next epoch") {
  take(a, who("a"), 500ms);

  CHECK(eventually([&] { return take(b, who("b")).held; }));
  CHECK(take(b, who("b")).turn == epoch{1, 2});
  CHECK_FALSE(take(a, who("a")).held);
}

TEST_CASE_FIXTURE(lease_server, "who renews too late has another turn") {
  take(a, who("a"), 1ms);

  CHECK(eventually([&] { return take(a, who("a"), 1ms).turn == epoch{1, 3}; }));
}

TEST_CASE_FIXTURE(lease_server, "a lease that is ended is free at once, and only its holder's is") {
  take(a, who("a"));
  CHECK_FALSE(end_lease(b, who("b"), soon()));
  CHECK_FALSE(end_lease(b, who("a", 2), soon()));
  CHECK_FALSE(take(b, who("b")).held);

  CHECK_FALSE(end_lease(a, who("a"), soon()));
  CHECK(take(b, who("b")).turn == epoch{1, 2});
}

TEST_CASE_FIXTURE(lease_server, "a restarted member takes the lease from its earlier run") {
  take(a, who("it's a \\ member", 1));

  CHECK(take(b, who("it's a \\ member", 2)).turn == epoch{1, 2});
  CHECK_FALSE(take(a, who("it's a \\ member", 1)).held);
  CHECK(take(b, who("it's a \\ member", 2)).turn == epoch{1, 2});
}

TEST_CASE_FIXTURE(lease_server, "of eight who ask at once one has it, in one epoch") {
  std::vector<std::future<repo::lease_answer>> all;
  for (int i = 0; i < 8; ++i)
    all.push_back(std::async(std::launch::async, [&, i] {
      auto link = open(servers.primary());
      return take(link, who("m" + std::to_string(i)));
    }));
  int held = 0;
  for (auto& it : all) {
    auto answer = it.get();
    held += answer.held;
    CHECK(answer.turn == epoch{1, 1});
  }
  CHECK(held == 1);
}

TEST_CASE_FIXTURE(lease_server, "taking the lease leaves nothing in the session") {
  take(a, who("a"));
  auto rows = a.query("SELECT current_setting('lock_timeout') || ' ' || "
                      "current_setting('synchronous_commit')",
                      soon());
  REQUIRE(rows);
  CHECK((*rows)[0][0] == "0 on");
}

TEST_CASE_FIXTURE(lease_server, "a write commits in its own turn, and not after it") {
  auto turn = take(a, who("a")).turn;
  CHECK(run([&](repo::transaction& tx) {
    tx.exec("INSERT INTO t VALUES (1)");
    tx.before_commit(fence_of(turn));
  }));
  CHECK(count() == "1");

  auto late = run([&](repo::transaction& tx) {
    tx.exec("INSERT INTO t VALUES (2)");
    REQUIRE_FALSE(end_lease(a, who("a"), soon()));
    REQUIRE(take(b, who("b")).held);
    tx.before_commit(fence_of(turn));
  });
  REQUIRE_FALSE(late);
  CHECK(late.error() == errc::not_leader);
  CHECK(text_of(late.error()).find("deposed") != std::string::npos);
  CHECK(text_of(late.error()).find("1/2 is that of b") != std::string::npos);
  CHECK(details_of(late.error())["sqlstate"] == repo::epoch_is_over);
  CHECK(count() == "1");
}

TEST_CASE_FIXTURE(lease_server,
                  "the fence waits for a turn that is just being taken, and refuses") {
  auto turn = take(a, who("a")).turn;
  REQUIRE_FALSE(end_lease(a, who("a"), soon()));
  REQUIRE(b.query("BEGIN; SELECT fly.take_lease('b', 1, '30 s')", soon()));

  auto late = std::async(std::launch::async, [&] {
    return run([&](repo::transaction& tx) {
      tx.exec("INSERT INTO t VALUES (1)");
      tx.before_commit(fence_of(turn));
    });
  });

  CHECK(waits_for_lock(late)); // a plain SELECT, and KEY SHARE, go past
  REQUIRE(b.query("COMMIT", soon()));
  auto outcome = late.get();
  REQUIRE_FALSE(outcome);
  CHECK(outcome.error() == errc::not_leader);
  CHECK(count() == "0");
}

TEST_CASE_FIXTURE(lease_server, "the fence waits for a turn that is given up, and lets pass") {
  auto turn = take(a, who("a")).turn;
  REQUIRE_FALSE(end_lease(a, who("a"), soon()));
  REQUIRE(b.query("BEGIN; SELECT fly.take_lease('b', 1, '30 s')", soon()));

  auto late = std::async(std::launch::async, [&] {
    return run([&](repo::transaction& tx) {
      tx.exec("INSERT INTO t VALUES (1)");
      tx.before_commit(fence_of(turn));
    });
  });

  CHECK(waits_for_lock(late));
  REQUIRE(b.query("ROLLBACK", soon()));
  CHECK(late.get());
  CHECK(count() == "1");
}

TEST_CASE_FIXTURE(lease_server, "a turn is not taken between the fence and the commit") {
  auto turn = take(a, who("a")).turn;
  REQUIRE_FALSE(end_lease(a, who("a"), soon()));
  repo::transaction tx{*link};
  tx.exec("INSERT INTO t VALUES (1)");
  tx.exec(fence_of(turn));

  auto next = std::async(std::launch::async, [&] { return take(b, who("b")); });

  CHECK(waits_for_lock(next)); // beside a plain SELECT, and KEY SHARE, it would be taken
  CHECK(tx.finish());
  CHECK(next.get().turn == epoch{1, 2});
}

TEST_CASE_FIXTURE(lease_server, "many writes of one turn do not wait for each other") {
  auto turn = take(a, who("a")).turn;
  repo::transaction tx{*link};
  tx.exec("INSERT INTO t VALUES (1)");
  tx.exec(fence_of(turn));
  auto other = connect(servers.primary());
  repo::transaction beside{*other};
  beside.exec("SET LOCAL lock_timeout = '2s'");
  beside.exec("INSERT INTO t VALUES (2)");
  beside.before_commit(fence_of(turn));

  CHECK(beside.finish());
  CHECK(take(a, who("a")).held); // nor does the renewal
  CHECK(tx.finish());
}

TEST_CASE_FIXTURE(lease_server, "a transaction with an older snapshot is refused, too") {
  auto turn = take(a, who("a")).turn;
  auto late = run([&](repo::transaction& tx) {
    tx.exec("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ");
    tx.exec("INSERT INTO t VALUES (1)");
    REQUIRE_FALSE(end_lease(a, who("a"), soon()));
    REQUIRE(take(b, who("b")).held);
    tx.before_commit(fence_of(turn));
  });
  REQUIRE_FALSE(late);
  CHECK(late.error() == errc::sql_failed);
  CHECK(details_of(late.error())["sqlstate"] == "40001");
  CHECK(count() == "0");
}

TEST_CASE_FIXTURE(lease_and_replica,
                  "epochs of an old primary and a promoted replica never equal") {
  auto turn = take(a, who("a")).turn;
  servers.wait_caught_up();
  servers.replica(0).promote();
  auto promoted = open(servers.replica(0));

  // The same holder, in time: another turn there, because it is another history.
  auto there = take(promoted, who("a"));
  CHECK(there.held);
  CHECK(there.turn == epoch{2, 2});
  for (int i = 0; i < 3; ++i) {
    CHECK_FALSE(end_lease(a, who("a"), soon()));
    auto zombie = take(a, who("a"));
    CHECK(zombie.turn.timeline == 1);
    CHECK(zombie.turn > turn);
    CHECK(zombie.turn < there.turn);
  }
  CHECK(take(a, who("a")).turn.counter > there.turn.counter);
}

TEST_CASE_FIXTURE(lease_and_replica, "nobody takes the lease on a replica") {
  servers.wait_caught_up();
  auto replica = open(servers.replica(0));
  auto answer = take_lease(replica, who("a"), 1s, soon());
  CHECK(answer.error() == errc::sql_failed);
  CHECK(details_of(answer.error())["sqlstate"] == "55000");
}

TEST_CASE_FIXTURE(lease_server,
                  "the lease takes a right to its functions, and none to its tables") {
  servers.primary().sql("CREATE ROLE guest LOGIN; GRANT ALL ON t TO guest");
  auto guest = open(servers.primary(), "guest");
  for (const std::string sql :
       {"SELECT fly.take_lease('g', 1, '1 s')", "SELECT fly.end_lease('g', 1)",
        "SELECT fly.hold_epoch(0, 0)", "UPDATE fly.lease SET holder = 'g'",
        "UPDATE fly.epoch SET counter = 9", "SELECT FROM fly.epoch FOR SHARE"}) {
    CAPTURE(sql);
    auto rows = guest.query(sql, soon());
    CHECK(rows.error() == errc::sql_failed);
    CHECK(details_of(rows.error())["sqlstate"] == "42501");
  }
  CHECK(guest.query("SELECT FROM fly.lease, fly.epoch", soon()));

  servers.primary().sql("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA fly TO guest");
  auto turn = take(guest, who("g")).turn;
  CHECK(guest.query("BEGIN; " + fence_of(turn) + "; COMMIT", soon()));
  CHECK_FALSE(end_lease(guest, who("g"), soon()));
}

TEST_CASE_FIXTURE(one_server, "without fly's tables the server says so") {
  auto link = open(servers.primary());
  auto answer = take_lease(link, who("a"), 1s, soon());
  CHECK(answer.error() == errc::sql_failed);
  CHECK(details_of(answer.error())["sqlstate"] == "3F000");
}
