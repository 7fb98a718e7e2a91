// Proves what one question to a real server tells: how far it is, what it is, which commits it has.
#include "fly/repo/replay_watcher.hpp"

#include <chrono>
#include <string>

#include <doctest/doctest.h>

#include <pqxx/pqxx>

#include "fly/actors/error.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/postgres.hpp"

using namespace std::chrono_literals;
using fly::errc;
using fly::repo::replay_watcher;
using fly::test::eventually;
using fly::test::postgres;

namespace {

replay_watcher watch(const fly::test::postgres_server& server, std::string_view role = "app") {
  return replay_watcher{{.link = {.url = server.url(role)}, .query_timeout = 500ms}};
}

} // namespace

TEST_CASE("an ordinary role learns which server it reached, on primary and replica") {
  postgres servers{1};
  auto primary = watch(servers.primary());
  auto replica = watch(servers.replica());

  auto here = primary.ask({}, true);
  auto there = replica.ask({}, true);

  REQUIRE(here);
  REQUIRE(there);
  CHECK(here->server.writable());
  CHECK_FALSE(there->server.writable());
  CHECK(there->server.in_recovery);
  CHECK(here->server.system == there->server.system);
  CHECK(here->server.timeline == 1);
  CHECK(there->server.timeline == 1);
  CHECK_FALSE(same_server(here->server, there->server));
  CHECK(here->server.address == "127.0.0.1:" + std::to_string(servers.primary().port()));
  CHECK(here->fresh);
  CHECK_FALSE(primary.ask({}, true)->fresh);
}

TEST_CASE("a replica is as far as it has replayed") {
  postgres servers{1};
  auto watcher = watch(servers.replica());
  servers.replica().pause_replay();
  auto before = watcher.ask({}, false);
  servers.primary().sql("CREATE TABLE t (n int)");
  auto flushed = *fly::repo::lsn::parse(servers.primary().sql("SELECT pg_current_wal_flush_lsn()"));

  CHECK(watcher.ask({}, false)->seen.lsn == before->seen.lsn);
  CHECK(before->seen.lsn < flushed);
  servers.replica().resume_replay();
  CHECK(eventually([&] { return watcher.ask({}, false)->seen.lsn >= flushed; }));
}

TEST_CASE("a commit is visible once it is replayed, and not because a later one is") {
  postgres servers{1};
  servers.primary().sql("CREATE TABLE t (n int); GRANT ALL ON t TO app");
  auto watcher = watch(servers.replica());
  pqxx::connection slow{servers.primary().url()};
  pqxx::work open{slow};
  open.exec("INSERT INTO t VALUES (1)");
  auto xid = open.exec("SELECT pg_current_xact_id()")[0][0].as<std::uint64_t>();
  servers.primary().sql("INSERT INTO t VALUES (2)");
  servers.wait_caught_up();

  // Later transactions are replayed, this one runs: pg_visible_in_snapshot would say "visible".
  CHECK(watcher.ask({xid}, false)->seen.visible_xids.empty());
  CHECK(servers.replica().sql("SELECT pg_visible_in_snapshot('" + std::to_string(xid) +
                              "', pg_current_snapshot())") == "t");
  open.commit();
  servers.wait_caught_up();
  CHECK(watcher.ask({xid}, false)->seen.visible_xids == std::vector<std::uint64_t>{xid});
}

TEST_CASE("ids that the server has not seen, and those rolled back, are not visible") {
  postgres servers{1};
  auto watcher = watch(servers.replica());
  auto none = servers.primary().sql("BEGIN; SELECT pg_current_xact_id()");
  servers.wait_caught_up();

  auto seen = watcher.ask({std::stoull(none), 4'000'000'000ULL, 1ULL << 40}, false);

  REQUIRE(seen);
  CHECK(seen->seen.visible_xids.empty());
}

TEST_CASE("a promotion is seen by the connection that survives it") {
  postgres servers{1};
  auto watcher = watch(servers.replica());
  REQUIRE(watcher.ask({}, true));

  servers.replica().promote();
  auto after = watcher.ask({}, false);

  REQUIRE(after);
  CHECK_FALSE(after->fresh);
  CHECK_FALSE(after->server.in_recovery);
  CHECK(after->seen.timeline == 2);
  CHECK(after->server.writable());
}

TEST_CASE("a server that restarts is another one, and a server that is down an error") {
  postgres servers;
  auto watcher = watch(servers.primary());
  auto before = watcher.ask({}, true);

  servers.primary().stop();
  auto down = watcher.ask({}, true);
  REQUIRE_FALSE(down);
  CHECK(down.error() == errc::database_unavailable);
  servers.primary().start();
  auto after = watcher.ask({}, false);

  REQUIRE(after);
  CHECK(after->fresh);
  CHECK_FALSE(same_server(before->server, after->server));
}

TEST_CASE("a server that is frozen is an error in time, and heals") {
  postgres servers;
  auto watcher = watch(servers.primary());
  REQUIRE(watcher.ask({}, true));
  servers.primary().freeze();

  auto before = std::chrono::steady_clock::now();
  auto frozen = watcher.ask({}, true);
  auto took = std::chrono::steady_clock::now() - before;
  servers.primary().thaw();

  CHECK(frozen.error() == errc::database_unavailable);
  CHECK(took < 8s);
  CHECK(watcher.ask({}, true));
}
