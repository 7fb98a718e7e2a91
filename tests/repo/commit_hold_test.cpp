// Proves that commits of fly are held in the database itself: for every connection, whatever it
// knows, without a gap from one holder to the next, and for a bounded time.
#include "fly/repo/commit_hold.hpp"

#include <atomic>
#include <chrono>
#include <future>
#include <thread>

#include <doctest/doctest.h>

#include "fly/repo/primary_move.hpp"
#include "fly/rpc/verbs.hpp"
#include "tests/repo/far_shops.hpp"
#include "tests/repo/one_server.hpp"
#include "tests/support/pgbouncer.hpp"

using namespace std::chrono_literals;
using namespace fly;
using namespace fly::test;
using repo::commit_hold;

namespace {

using clock_type = std::chrono::steady_clock;

struct held_server : one_server {
  commit_hold holder() { return {{.url = servers.primary().url()}, 3s}; }

  /// Writes one row and returns whether it is refused because commits are held.
  bool is_refused() {
    auto where =
        run([&](auto& tx) { tx.exec("INSERT INTO t VALUES (" + std::to_string(n++ % 100) + ")"); });
    if (where)
      return false;
    CHECK_MESSAGE(repo::is_held(where.error()), fly::to_string(where.error()));
    return true;
  }

  int n = 0;
};

} // namespace

TEST_CASE_FIXTURE(held_server, "a commit is refused while commits are held, and nothing remains") {
  auto hold = holder();
  auto asked = hold.ask(1, clock_type::now() + 1min);
  REQUIRE_MESSAGE(asked.held, asked.reason);
  CHECK_FALSE(asked.kept);
  CHECK(asked.where.timeline == 1);

  auto where = run([](auto& tx) { tx.exec("INSERT INTO t VALUES (99)"); });
  REQUIRE_FALSE(where);
  CHECK(where.error() == errc::not_primary);
  CHECK(effect_of(where.error()) == effect::nothing_ran);
  CHECK(repo::is_held(where.error()));
  CHECK(text_of(where.error()).find("being moved") != std::string::npos);
  CHECK(link->reusable());
  CHECK(count() == "0");
  CHECK(hold.ask(1, clock_type::now() + 1min).kept);

  hold.end();
  CHECK(eventually([&] { return !is_refused(); }));
  CHECK(count() == "1");
}

TEST_CASE_FIXTURE(held_server, "a commit that has begun is before the place where they are held") {
  servers.primary().sql("CREATE FUNCTION nap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                        "PERFORM pg_sleep(0.6); RETURN NULL; END $$;"
                        "CREATE CONSTRAINT TRIGGER nap AFTER INSERT ON t DEFERRABLE "
                        "INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nap()");
  auto slow = std::async(std::launch::async, [&] {
    return run([](auto& tx) { tx.exec("INSERT INTO t VALUES (1)"); });
  });
  REQUIRE(eventually([&] {
    return servers.primary().sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") ==
           "1";
  }));
  auto hold = holder();

  auto asked = hold.ask(1, clock_type::now() + 1min);
  CHECK(asked.waits);
  REQUIRE(eventually([&] {
    asked = hold.ask(1, clock_type::now() + 1min);
    CHECK(asked.kept);
    return asked.held;
  }));
  auto where = slow.get();
  REQUIRE(where);
  CHECK(where->lsn <= asked.where.lsn);
  CHECK(count() == "1");
}

TEST_CASE_FIXTURE(held_server, "from one holder to the next no commit gets in") {
  auto one = holder();
  auto two = holder();
  REQUIRE(one.ask(1, clock_type::now() + 1min).held);
  auto next = two.ask(1, clock_type::now() + 1min);
  REQUIRE(next.waits);
  CHECK_FALSE(next.held);

  std::atomic<bool> over = false;
  auto writer = std::async(std::launch::async, [&] {
    int tried = 0;
    for (; !over; ++tried)
      CHECK(is_refused());
    return tried;
  });
  std::this_thread::sleep_for(100ms);
  one.end();
  CHECK(eventually([&] {
    auto now = two.ask(1, clock_type::now() + 1min);
    CHECK(now.kept);
    return now.held;
  }));
  std::this_thread::sleep_for(100ms);
  over = true;
  CHECK(writer.get() > 10);
  CHECK(count() == "0");
}

TEST_CASE_FIXTURE(held_server, "who waits in line stays in it for as long as it asks") {
  auto one = holder();
  auto two = holder();
  REQUIRE(one.ask(1, clock_type::now() + 1min).held);
  REQUIRE(two.ask(1, clock_type::now() + 400ms).waits);

  auto begun = clock_type::now();
  while (clock_type::now() - begun < 2500ms) { // its first session has 1.4 s
    auto now = two.ask(1, clock_type::now() + 400ms);
    REQUIRE(now.waits);
    REQUIRE(now.kept);
    std::this_thread::sleep_for(50ms);
  }
  one.end();
  CHECK(eventually([&] { return two.ask(1, clock_type::now() + 400ms).held; }));
  CHECK(is_refused());
}

TEST_CASE_FIXTURE(held_server, "a hold ends by itself where nobody ends it") {
  auto one = holder();
  auto two = holder();
  REQUIRE(one.ask(1, clock_type::now() + 300ms).held);
  REQUIRE(two.ask(1, clock_type::now() + 300ms).waits);
  CHECK(is_refused());

  SUBCASE("by the server, a second later") {
    CHECK(eventually([&] { return !is_refused(); }));
  }
  SUBCASE("by the client that looks") {
    one.expire(clock_type::now() + 300ms);
    two.expire(clock_type::now() + 300ms);
    CHECK(eventually([&] { return !is_refused(); }, 900ms));
  }
  auto again = one.ask(1, clock_type::now() + 1min);
  CHECK_FALSE(again.kept);
}

TEST_CASE_FIXTURE(held_server, "only a database that is writable on the timeline is held") {
  auto& replica = servers.add_replica(servers.primary());
  commit_hold there{{.url = replica.url()}, 3s};
  auto refused = there.ask(0, clock_type::now() + 1min);
  CHECK_FALSE(refused.held);
  CHECK_FALSE(refused.waits);
  CHECK(refused.reason.find("not writable") != std::string::npos);

  auto hold = holder();
  CHECK_FALSE(hold.ask(2, clock_type::now() + 1min).held);
  CHECK_FALSE(is_refused());
  commit_hold nowhere{{.url = "postgresql://app@127.0.0.1:1/app"}, 3s};
  CHECK_FALSE(nowhere.ask(0, clock_type::now() + 1min).reason.empty());
}

TEST_CASE_FIXTURE(held_server, "behind a pooler commits are held as well") {
  pgbouncer pooler{servers.primary()};
  commit_hold one{{.url = pooler.url(), .pooled = true}, 3s};
  commit_hold two{{.url = pooler.url(), .pooled = true}, 3s};
  auto asked = one.ask(1, clock_type::now() + 1min);
  REQUIRE_MESSAGE(asked.held, asked.reason);
  REQUIRE(two.ask(1, clock_type::now() + 1min).waits);
  CHECK(is_refused());
  one.end();
  CHECK(eventually([&] { return two.ask(1, clock_type::now() + 1min).held; }));
  CHECK(is_refused());
  two.end();
  CHECK(eventually([&] { return !is_refused(); }));
}

namespace {

/// Writes through one node in a thread, and counts what was acknowledged.
struct busy_writer {
  busy_writer(const far_shop& from, std::string item)
      : thread_([this, &from, item = std::move(item)] {
          while (!over_)
            acknowledged +=
                bool(rpc_primary(from.db->with({.timeout = 300ms}), shop::place, item, 1));
        }) {}
  ~busy_writer() { stop(); }

  int stop() {
    over_ = true;
    if (thread_.joinable())
      thread_.join();
    return acknowledged;
  }

  std::atomic<int> acknowledged = 0;

private:
  std::atomic<bool> over_ = false;
  std::thread thread_;
};

} // namespace

TEST_CASE_FIXTURE(far_shops, "a node that joins while the primary moves loses no write") {
  auto hold = [&](std::int64_t longest) {
    auto told =
        rpc_member(lax.rpc, syd.node.self().id, repo::hold_writes, longest, std::uint32_t{1});
    REQUIRE_MESSAGE(told, fly::to_string(told.error()));
    return *told;
  };
  busy_writer from_syd{syd, "from syd"};
  busy_writer from_ams{ams, "from ams"};
  // One that hears of nobody, and so takes its database for the primary: it is.
  far_shop alone{"syd", servers.primary().url()};
  REQUIRE_FALSE(alone.node.join());
  busy_writer from_alone{alone, "from alone"};
  REQUIRE(eventually([&] {
    return from_syd.acknowledged > 20 && from_ams.acknowledged > 20 && from_alone.acknowledged > 20;
  }));

  auto held = hold(60'000);
  REQUIRE_MESSAGE(held.held, held.reason);
  // And two that come only now, one of them with the others.
  far_shop late{"syd", servers.primary().url()};
  far_shop known{"syd", servers.primary().url(), {syd.address(), lax.address()}};
  for (auto* it : {&late, &known})
    REQUIRE_FALSE(it->node.join());
  busy_writer from_late{late, "from late"};
  busy_writer from_known{known, "from known"};
  REQUIRE(eventually([&] {
    return late.node.is_primary() && known.node.is_primary() &&
           lax.node.primary_group().size() == 2;
  }));
  auto end = repo::parse_position(held.position);
  REQUIRE(end);
  CHECK_FALSE(lax.db->wait_for(*end, 10s));
  std::this_thread::sleep_for(500ms);
  CHECK(hold(60'000).kept);
  CHECK(from_late.acknowledged == 0);
  servers.replica(0).promote();
  // Where they know each other, they go on by themselves.
  CHECK(eventually([&] {
    auto placed = rpc_primary(known.db->with({.timeout = 1s}), shop::place, "after", 1);
    return placed && placed->position().timeline == 2;
  }));

  CHECK(from_late.stop() == 0);
  auto all_there = [&](busy_writer& writer, const std::string& item) {
    auto acknowledged = writer.stop();
    CHECK_MESSAGE(lax.count(item) >= acknowledged, item << ": " << acknowledged);
  };
  all_there(from_syd, "from syd");
  all_there(from_ams, "from ams");
  all_there(from_alone, "from alone");
  all_there(from_known, "from known");
}
