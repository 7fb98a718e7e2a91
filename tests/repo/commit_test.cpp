// Proves that each way in which a transaction can fail says the truth: nothing remains, or unknown.
#include "fly/repo/exec.hpp"
#include "fly/repo/transaction.hpp"

#include <chrono>
#include <memory>
#include <stdexcept>
#include <thread>

#include <doctest/doctest.h>

#include "tests/repo/one_server.hpp"

using namespace std::chrono_literals;
using fly::details_of;
using fly::errc;
using fly::text_of;
using fly::repo::transaction;
using fly::test::connect;
using fly::test::one_server;

TEST_CASE_FIXTURE(one_server, "fault 13: an error that the function swallowed reaches the caller") {
  SUBCASE("of a plain statement, where libpqxx 6 rolls back at once") {
    auto where = run([](auto& tx) {
      tx.exec("INSERT INTO t VALUES (1)");
      CHECK_THROWS(tx.exec("INSERT INTO t VALUES (1000)"));
    });
    REQUIRE_FALSE(where);
    CHECK(where.error() == errc::sql_failed);
    CHECK(details_of(where.error())["sqlstate"] == "23514");
    CHECK(details_of(where.error())["constraint"] == "small");
  }
  SUBCASE("of a statement with parameters, where the transaction stays aborted") {
    auto where = run([](auto& tx) {
      tx.exec("INSERT INTO t VALUES (1)");
      CHECK_THROWS(fly::repo::exec(tx, "INSERT INTO t VALUES ($1)", 1000));
    });
    REQUIRE_FALSE(where);
    CHECK(where.error() == errc::sql_failed);
    CHECK(details_of(where.error())["sqlstate"] == "23514");
    CHECK(details_of(where.error())["constraint"] == "small");
  }
  SUBCASE("and a later statement that fails for it is not the news") {
    auto where = run([](auto& tx) {
      CHECK_THROWS(fly::repo::exec(tx, "INSERT INTO t VALUES ($1)", 1000));
      fly::repo::exec(tx, "INSERT INTO t VALUES ($1)", 2);
    });
    REQUIRE_FALSE(where);
    CHECK(where.error() == errc::sql_failed);
    CHECK(details_of(where.error())["sqlstate"] == "23514");
  }
  CHECK(count() == "0");
  CHECK(link->reusable());
  CHECK(run([](auto& tx) { tx.exec("INSERT INTO t VALUES (5)"); }));
}

TEST_CASE_FIXTURE(one_server, "an error that the function leaves whole reaches the caller whole") {
  auto where = run([](auto& tx) { tx.exec("INSERT INTO t VALUES (1000)"); });

  REQUIRE_FALSE(where);
  CHECK(where.error() == errc::sql_failed);
  auto details = details_of(where.error());
  CHECK(details["sqlstate"] == "23514");
  CHECK(details["constraint"] == "small");
  CHECK(details["table"] == "t");
  CHECK(details["schema"] == "public");
  CHECK(details["detail"] == "Failing row contains (1000).");
  CHECK(text_of(where.error()) == "new row for relation \"t\" violates check constraint \"small\"");
  CHECK(count() == "0");
  CHECK(link->reusable());
}

TEST_CASE_FIXTURE(one_server, "a deferred constraint that fails at the commit: nothing remains") {
  auto where = run([](auto& tx) { tx.exec("INSERT INTO t VALUES (1), (1)"); });

  REQUIRE_FALSE(where);
  CHECK(where.error() == errc::sql_failed);
  CHECK(details_of(where.error())["sqlstate"] == "23505");
  CHECK(details_of(where.error())["constraint"] == "once");
  CHECK(details_of(where.error())["detail"] == "Key (n)=(1) already exists.");
  CHECK(count() == "0");
  CHECK(link->reusable());
}

TEST_CASE_FIXTURE(one_server, "a deferred trigger that raises at the commit: nothing remains") {
  servers.primary().sql("CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                        "RAISE EXCEPTION 'never on sundays'; END $$;"
                        "CREATE CONSTRAINT TRIGGER no AFTER INSERT ON t DEFERRABLE "
                        "INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION no()");

  auto where = run([](auto& tx) { tx.exec("INSERT INTO t VALUES (1)"); });

  REQUIRE_FALSE(where);
  CHECK(where.error() == errc::sql_failed);
  CHECK(details_of(where.error())["sqlstate"] == "P0001");
  CHECK(text_of(where.error()) == "never on sundays");
  CHECK(count() == "0");
}

TEST_CASE_FIXTURE(one_server, "a serialization failure at the commit: nothing remains") {
  servers.primary().sql("INSERT INTO t VALUES (1), (2)");
  auto other = connect(servers.primary());
  auto where = run([&](auto& tx) {
    tx.exec("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE");
    tx.exec("SELECT sum(n) FROM t");
    transaction second{*other};
    second.exec("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE");
    second.exec("SELECT sum(n) FROM t");
    second.exec("INSERT INTO t VALUES (11)");
    tx.exec("INSERT INTO t VALUES (12)");
    REQUIRE(second.finish());
  });

  REQUIRE_FALSE(where);
  CHECK(where.error() == errc::sql_failed);
  CHECK(details_of(where.error())["sqlstate"] == "40001");
  CHECK(count() == "3");
}

TEST_CASE_FIXTURE(one_server, "an error after the COMMIT is unknown, never \"nothing ran\"") {
  for (const char* mutant :
       {"SELECT 1/0", "SELECT broken", "DO $$ BEGIN RAISE unique_violation; END $$",
        "DO $$ BEGIN RAISE SQLSTATE '25P02'; END $$", "DO $$ BEGIN RAISE SQLSTATE '40001'; END $$",
        "DO $$ BEGIN RAISE SQLSTATE '25006'; END $$", "SELECT 1", "SELECT 'x', 'y', 'z'",
        "SELECT '0/0', '00000000', ''"}) {
    CAPTURE(mutant);
    servers.primary().sql("TRUNCATE t");
    transaction tx{*link};
    tx.exec("INSERT INTO t VALUES (1)");
    tx.test_replace_position_query(mutant);

    auto where = tx.finish();

    REQUIRE_FALSE(where);
    CHECK(where.error() == errc::outcome_unknown);
    CHECK(fly::effect_of(where.error()) == fly::effect::unknown);
    CHECK(details_of(where.error())["committed"] == "yes");
    CHECK(count() == "1");
  }
}

TEST_CASE_FIXTURE(one_server, "a backend that dies after the COMMIT leaves the outcome unknown") {
  transaction tx{*link};
  tx.exec("INSERT INTO t VALUES (1)");
  tx.test_replace_position_query("SELECT pg_terminate_backend(pg_backend_pid())");

  auto where = tx.finish();

  REQUIRE_FALSE(where);
  CHECK(where.error() == errc::outcome_unknown);
  CHECK(count() == "1");
  CHECK_FALSE(link->reusable());
}

TEST_CASE_FIXTURE(one_server, "a backend that dies in the COMMIT leaves the outcome unknown") {
  servers.primary().sql("CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER "
                        "AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); "
                        "RETURN NULL; END $$;"
                        "CREATE CONSTRAINT TRIGGER die AFTER INSERT ON t DEFERRABLE "
                        "INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die()");

  auto where = run([](auto& tx) { tx.exec("INSERT INTO t VALUES (1)"); });

  REQUIRE_FALSE(where);
  CHECK(where.error() == errc::outcome_unknown);
  CHECK_FALSE(link->reusable());
}

TEST_CASE_FIXTURE(one_server, "a connection that is cut while the COMMIT runs: unknown") {
  servers.primary().sql("CREATE FUNCTION nap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                        "PERFORM pg_sleep(0.5); RETURN NULL; END $$;"
                        "CREATE CONSTRAINT TRIGGER nap AFTER INSERT ON t DEFERRABLE "
                        "INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nap()");
  std::thread scissors;

  auto where = run([&](auto& tx) {
    tx.exec("INSERT INTO t VALUES (1)");
    scissors = std::thread{[&] {
      std::this_thread::sleep_for(200ms);
      link->cut();
    }};
  });
  scissors.join();

  REQUIRE_FALSE(where);
  CHECK(where.error() == errc::outcome_unknown);
  CHECK(details_of(where.error()).count("committed") == 0);
}

TEST_CASE_FIXTURE(one_server, "a backend that is killed before the commit: nothing remains") {
  SUBCASE("and the function notices") {
    auto where = run([&](auto& tx) {
      tx.exec("INSERT INTO t VALUES (1)");
      servers.primary().sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                            "WHERE usename = 'app'");
      tx.exec("INSERT INTO t VALUES (2)");
    });
    REQUIRE_FALSE(where);
    CHECK(where.error() == errc::database_unavailable);
  }
  SUBCASE("and the function swallows it") {
    auto where = run([&](auto& tx) {
      tx.exec("INSERT INTO t VALUES (1)");
      servers.primary().sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                            "WHERE usename = 'app'");
      CHECK_THROWS(fly::repo::exec(tx, "INSERT INTO t VALUES ($1)", 2));
    });
    REQUIRE_FALSE(where);
    CHECK(where.error() == errc::database_unavailable);
  }
  CHECK(count() == "0");
  CHECK_FALSE(link->reusable());
  // libpqxx 6 would have connected again behind our back, without the transaction.
  CHECK_FALSE(run([](auto& tx) { tx.exec("INSERT INTO t VALUES (3)"); }));
  CHECK(count() == "0");
}

TEST_CASE_FIXTURE(one_server, "a function that ends its transaction itself is told so") {
  SUBCASE("by SQL") {
    auto where = run([](auto& tx) {
      tx.exec("INSERT INTO t VALUES (1)");
      tx.exec("ROLLBACK");
    });
    REQUIRE_FALSE(where);
    CHECK(where.error() == errc::function_failed);
  }
  SUBCASE("by libpqxx") {
    auto where = run([](pqxx::transaction_base& tx) {
      tx.exec("INSERT INTO t VALUES (1)");
      tx.abort();
    });
    REQUIRE_FALSE(where);
    CHECK(where.error() == errc::function_failed);
  }
  CHECK(count() == "0");
}

TEST_CASE_FIXTURE(one_server, "a server that cannot write is not the primary, and nothing ran") {
  SUBCASE("for a statement that writes") {
    servers.primary().sql("ALTER DATABASE app SET default_transaction_read_only = on");
    link = connect(servers.primary());
    CHECK_FALSE(link->identity().writable());
    auto where = run([](auto& tx) { tx.exec("INSERT INTO t VALUES (1)"); });
    REQUIRE_FALSE(where);
    CHECK(where.error() == errc::not_primary);
    CHECK(details_of(where.error())["sqlstate"] == "25006");
  }
  SUBCASE("for a function on a replica that would have written nothing") {
    auto& replica = servers.add_replica(servers.primary());
    link = connect(replica);
    CHECK(link->identity().in_recovery);
    auto where = run([](auto& tx) { tx.exec("SELECT 1"); });
    REQUIRE_FALSE(where);
    CHECK(where.error() == errc::not_primary);
  }
}
