// Proves the harness itself: real servers that replicate, pause, fail, and leave nothing behind.
#include "tests/support/postgres.hpp"

#include <chrono>

#include <doctest/doctest.h>

#include "tests/support/eventually.hpp"

using namespace std::chrono_literals;
using fly::test::eventually;
using fly::test::postgres;

TEST_CASE("a replica shows what the primary has committed, unless its replay is paused") {
  postgres servers{1};
  servers.primary().sql("CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
  servers.wait_caught_up();
  CHECK(servers.replica().sql("SELECT count(*) FROM t") == "1");

  servers.replica().pause_replay();
  servers.primary().sql("INSERT INTO t VALUES (2)");
  CHECK(servers.replica().sql("SELECT count(*) FROM t") == "1");

  servers.replica().resume_replay();
  servers.wait_caught_up();
  CHECK(servers.replica().sql("SELECT count(*) FROM t") == "2");
}

TEST_CASE("a server can be stopped, killed, restarted, frozen and promoted") {
  postgres servers{1};
  auto& replica = servers.replica();
  auto port = replica.port();

  replica.stop();
  CHECK_FALSE(replica.running());
  CHECK_THROWS(replica.sql("SELECT 1"));
  replica.start();
  replica.restart();
  CHECK(replica.port() == port);
  CHECK(replica.sql("SELECT pg_is_in_recovery()") == "t");
  replica.freeze();
  replica.thaw();
  CHECK(replica.sql("SELECT 1") == "1");
  replica.promote();
  CHECK(replica.sql("SELECT pg_is_in_recovery()") == "f");
}

TEST_CASE("a replica is added from a backup of the running primary") {
  postgres servers;
  servers.primary().sql("CREATE TABLE t (n int); INSERT INTO t VALUES (1)");

  auto& replica = servers.add_replica(servers.primary());

  servers.wait_caught_up();
  CHECK(replica.sql("SELECT count(*) FROM t") == "1");
  CHECK(replica.sql("SELECT pg_is_in_recovery()") == "t");
}

TEST_CASE("clusters are copies of one system, a foreign one is not") {
  postgres one;
  postgres two;
  postgres other{postgres::foreign{}};
  auto system = "SELECT system_identifier FROM pg_control_system()";

  CHECK(one.primary().sql(system) == two.primary().sql(system));
  CHECK(one.primary().sql(system) != other.primary().sql(system));
}
