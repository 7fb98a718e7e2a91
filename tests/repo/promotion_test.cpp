// Proves what is true while the primary moves: where writes go, what an old primary may still do,
// and what positions from before are worth.
#include <algorithm>
#include <chrono>
#include <memory>
#include <thread>

#include <doctest/doctest.h>

#include "fly/repo/connection.hpp"
#include "fly/repo/transaction.hpp"
#include "tests/repo/far_shops.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;
using repo::lsn;
using repo::position;

namespace {

/// Writes by a plain connection, past fly: what an old primary still takes.
position write_past_fly(const postgres_server& server, const std::string& item) {
  auto link = repo::connection::open({.url = server.url()}, std::chrono::steady_clock::now() + 10s);
  REQUIRE(link);
  repo::transaction tx{**link};
  fly::repo::exec(tx, "INSERT INTO orders (item, count) VALUES ($1, 1)", item);
  auto where = tx.finish();
  REQUIRE(where);
  return *where;
}

bool is_zombie(const far_shop& who, const std::string& id) {
  auto all = who.node.primary().zombies;
  return std::find(all.begin(), all.end(), id) != all.end();
}

struct moved_primary : far_shops {
  moved_primary() {
    REQUIRE(eventually([&] { return servers.primary().sql(has_schema) == "t"; }));
    auto placed = rpc_and_wait(*ams.db, shop::place, "before", 1);
    REQUIRE(placed);
    before = placed->position();
    servers.wait_caught_up();
  }

  /// Promotes lax's replica; syd's server stays alive and writable, and feeds ams on.
  void promote() {
    promoted_at = std::chrono::steady_clock::now();
    servers.replica(0).promote();
  }

  static constexpr const char* has_schema = "SELECT to_regclass('fly.timeline') IS NOT NULL";
  position before;
  std::chrono::steady_clock::time_point promoted_at{};
};

} // namespace

TEST_CASE_FIXTURE(moved_primary, "writes from everywhere reach the promoted server within 5 s") {
  promote();
  for (auto* from : {&lax, &syd, &ams}) {
    auto placed = eventually([&] {
      auto answer = rpc_primary(from->db->with({.timeout = 4s}), shop::place, "after", 1);
      return answer && answer->position().timeline == 2;
    });
    CHECK(placed);
  }
  CHECK(std::chrono::steady_clock::now() - promoted_at < 5s);
  CHECK(lax.count("after") >= 3);
  CHECK(lax.node.primary_region() == "lax");
  CHECK(eventually([&] { return is_zombie(ams, syd.node.self().id); })); // with the next beats
}

TEST_CASE_FIXTURE(moved_primary, "an old primary that hears of the new one takes no write of fly") {
  promote();
  REQUIRE(eventually([&] { return syd.node.primary().timeline == 2; }));
  auto rows = servers.primary().sql("SELECT count(*) FROM orders");

  auto placed = rpc_and_wait(syd.db->with({.timeout = 5s}), shop::place, "from syd", 1);

  REQUIRE_MESSAGE(placed, fly::to_string(placed.error()));
  CHECK(placed->position().timeline == 2);
  CHECK_FALSE(placed->visible());
  CHECK(placed->late() == errc::foreign_position); // at once: its database never gets there
  CHECK(text_of(placed->late()).find("left behind") != std::string::npos);
  CHECK(placed->timing().until_visible < 3s);
  CHECK(servers.primary().sql("SELECT count(*) FROM orders") == rows);
  CHECK_FALSE(syd.node.is_primary());
  CHECK(syd.node.primary().zombies == std::vector<std::string>{syd.node.self().id});
}

TEST_CASE_FIXTURE(moved_primary,
                  "a position from before holds on both sides, one of a zombie on its own") {
  promote();
  REQUIRE(eventually([&] { return ams.node.primary().timeline == 2; }));
  auto lost = write_past_fly(servers.primary(), "zombie");
  REQUIRE(lost.timeline == 1);

  CHECK_FALSE(lax.db->wait_for(before, 5s));
  CHECK_FALSE(ams.db->wait_for(before, 5s)); // still follows the zombie
  CHECK_FALSE(ams.db->wait_for(lost, 5s));   // which is true there
  CHECK(lax.db->wait_for(lost, 5s) == errc::may_be_lost);
}

TEST_CASE_FIXTURE(moved_primary,
                  "a replica of the new primary tells what is lost, and never that it is visible") {
  auto& behind_lax = servers.add_replica(servers.replica(0));
  far_shop fra{"fra", behind_lax.url(), {syd.address(), lax.address()}};
  REQUIRE_FALSE(fra.node.join());
  servers.primary().sql("GRANT pg_monitor TO app"); // tells a replica's timeline at once
  servers.wait_caught_up();
  promote();
  auto lost = write_past_fly(servers.primary(), "zombie");
  // The new timeline grows beyond it.
  REQUIRE(eventually([&] {
    auto placed = rpc_primary(lax.db->with({.timeout = 1s}), shop::place, "after", 1);
    return placed && placed->position().timeline == 2 && placed->position().lsn > lost.lsn;
  }));

  CHECK(fra.db->wait_for(lost, 5s) == errc::may_be_lost);
  CHECK_FALSE(fra.db->wait_for(before, 5s));
  auto placed = rpc_and_wait(fra.db->with({.timeout = 5s}), shop::place, "from fra", 1);
  REQUIRE(placed);
  CHECK(placed->visible());
  CHECK(fra.count("from fra") == 1);
  CHECK(fra.count("zombie") == 0);
}

TEST_CASE_FIXTURE(moved_primary,
                  "a token made before the promotion is read after it, by another node") {
  auto token = syd.db->token(before);
  promote();
  REQUIRE(eventually([&] { return ams.node.primary().timeline == 2; }));

  auto where = lax.db->parse_token(token);
  REQUIRE(where);
  CHECK(*where == before);
  CHECK_FALSE(lax.db->wait_for(*where, 5s));
}

namespace {

/// Lets the sessions of "app" on replicas ask whether they recover, and go on with the answer only
/// once they do not any more, while somebody holds the advisory lock 77.
constexpr const char* slow_answer =
    "CREATE SCHEMA shadow; GRANT USAGE ON SCHEMA shadow TO app;"
    "CREATE FUNCTION shadow.pg_is_in_recovery() RETURNS boolean LANGUAGE plpgsql AS $$ "
    "DECLARE then_it_was boolean := pg_catalog.pg_is_in_recovery(); BEGIN "
    "WHILE then_it_was AND current_setting('application_name') NOT LIKE '% tracker' "
    "AND EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 77) "
    "AND pg_catalog.pg_is_in_recovery() LOOP PERFORM pg_sleep(0.01); END LOOP; "
    "RETURN then_it_was; END $$;"
    "ALTER ROLE app SET search_path = shadow, pg_catalog, public";

struct read_at_promotion : far_shops {
  read_at_promotion() {
    servers.primary().sql(slow_answer);
    servers.wait_caught_up();
    asking = std::make_unique<far_shop>("lax", servers.replica(0).url(),
                                        std::vector{syd.address(), lax.address()});
    REQUIRE_FALSE(asking->node.join());
    REQUIRE(eventually([&] { return asking->node.primary_region() == "syd"; }));
    CHECK(asking->count("pen") == 0); // the read finds out about fly's tables
    auto soon = std::chrono::steady_clock::now() + 10s;
    auto opened = repo::connection::open({.url = servers.replica(0).url("postgres")}, soon);
    REQUIRE(opened);
    holder = std::move(*opened);
  }

  void hold() {
    pqxx::nontransaction{holder->pqxx()}.exec("SELECT pg_advisory_lock(77)"); // for good
  }

  /// Promotes once the read waits for that.
  void promote_under_it() {
    CHECK(eventually([&] {
      return servers.replica(0).sql("SELECT count(*) > 0 FROM pg_stat_activity WHERE state = "
                                    "'active' AND wait_event = 'PgSleep' AND query LIKE "
                                    "'%pg_get_wal_replay_pause_state%'") == "t";
    }));
    servers.replica(0).promote();
  }

  std::unique_ptr<far_shop> asking;
  std::unique_ptr<repo::connection> holder;
};

} // namespace

TEST_CASE_FIXTURE(read_at_promotion, "a read whose questions fall on a promotion succeeds") {
  std::thread promoter;
  bool at_the_end = false;
  SUBCASE("the one before it") {
    hold();
    promoter = std::thread{[&] { promote_under_it(); }};
  }
  SUBCASE("the one behind it") {
    at_the_end = true;
  }
  int runs = 0;
  repo::session user;
  auto found =
      asking->db->with({.timeout = 20s, .session = user}).read([&](pqxx::transaction_base& tx) {
        ++runs;
        if (at_the_end) {
          hold();
          promoter = std::thread{[&] { promote_under_it(); }};
        }
        return tx.exec("SELECT count(*) FROM orders")[0][0].as<int>();
      });
  promoter.join();
  REQUIRE_MESSAGE(found, fly::to_string(found.error()));
  CHECK(*found == 0);
  CHECK(runs == 1);
  REQUIRE(user.position()); // and it is known how far it has read
  CHECK(user.position()->timeline == 2);
}

TEST_CASE_FIXTURE(far_shops, "without the right to make tables a node says what is off") {
  servers.primary().sql(
      "CREATE ROLE guest LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO guest; "
      "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO guest; DROP SCHEMA IF EXISTS "
      "fly CASCADE");
  far_shop guest{"gru", servers.primary().url("guest"), {syd.address()}};
  REQUIRE_FALSE(guest.node.join());

  CHECK(eventually([&] {
    for (const auto& view : syd.node.views())
      if (view.who.region == "gru")
        return view.database.reason.find("docs/rights.md") != std::string::npos;
    return false;
  }));
  auto placed = rpc_primary(guest.db->with({.timeout = 5s}), shop::place, "pen", 1);
  CHECK(placed);
}
