#include <chrono>
#include <string>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/repo/pq_link.hpp"
#include "fly/repo/server_identity.hpp"
#include "fly/repo/transaction.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/postgres.hpp"

/// What docs/rights.md says, asked of real servers.
namespace {

using namespace std::chrono_literals;
using fly::repo::pq_link;

auto soon() {
  return std::chrono::steady_clock::now() + 10s;
}

struct servers_with_roles {
  servers_with_roles() {
    servers.primary().sql("CREATE ROLE plain LOGIN; CREATE ROLE watcher LOGIN;"
                          "GRANT pg_monitor TO watcher; CREATE ROLE streamer LOGIN REPLICATION;"
                          "CREATE TABLE t (n int); GRANT INSERT, SELECT ON t TO plain");
    servers.wait_caught_up();
  }

  fly::test::postgres servers{1};
};

pq_link open(const fly::test::postgres_server& server, const char* role) {
  auto link = pq_link::open({.url = server.url(role), .application_name = "rights"}, soon());
  REQUIRE(link);
  return std::move(*link);
}

} // namespace

TEST_CASE_FIXTURE(servers_with_roles, "every role is told what server it has reached") {
  for (const char* role : {"plain", "watcher", "streamer"}) {
    CAPTURE(role);
    auto on_primary = open(servers.primary(), role);
    auto primary = fly::repo::identify(on_primary, soon());
    REQUIRE(primary);
    CHECK(primary->writable());
    auto on_replica = open(servers.replica(0), role);
    auto replica = fly::repo::identify(on_replica, soon());
    REQUIRE(replica);
    CHECK_FALSE(replica->writable());
    CHECK(replica->system == primary->system);
    CHECK(replica->timeline == primary->timeline);
    CHECK(replica->lag >= 0us);
  }
}

TEST_CASE_FIXTURE(servers_with_roles, "the WAL receiver's timeline is for pg_monitor alone") {
  constexpr auto question = "SELECT received_tli FROM pg_stat_wal_receiver";
  auto ask = [&](const char* role) {
    auto link = open(servers.replica(0), role);
    auto rows = link.query(question, soon());
    REQUIRE(rows);
    REQUIRE(rows->size() == 1);
    return rows->front().front();
  };
  REQUIRE(fly::test::eventually([&] { return ask("watcher").has_value(); }));
  CHECK_FALSE(ask("plain").has_value());
  CHECK_FALSE(ask("streamer").has_value());
}

TEST_CASE_FIXTURE(servers_with_roles, "an ordinary role writes and learns the position") {
  auto opened = fly::repo::connection::open({.url = servers.primary().url("plain")}, soon());
  REQUIRE(opened);
  fly::repo::transaction tx{**opened};
  tx.exec("INSERT INTO t VALUES (1)");
  auto where = tx.finish();
  REQUIRE(where);
  CHECK(where->xid);
}

TEST_CASE_FIXTURE(servers_with_roles, "a write without the right to the table says so") {
  auto opened = fly::repo::connection::open({.url = servers.primary().url("watcher")}, soon());
  REQUIRE(opened);
  fly::repo::transaction tx{**opened};
  CHECK_THROWS(tx.exec("INSERT INTO t VALUES (1)"));
  CHECK((*opened)->report().cause->sqlstate == "42501");
}
