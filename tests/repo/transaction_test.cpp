// Proves the one round trip of commit and position, and that each way it can fail says the truth:
// nothing remains, or unknown.
#include "fly/repo/transaction.hpp"

#include <chrono>
#include <memory>
#include <stdexcept>
#include <thread>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/repo/sql_error.hpp"
#include "tests/support/postgres.hpp"

using namespace std::chrono_literals;
using fly::code_of;
using fly::details_of;
using fly::errc;
using fly::text_of;
using fly::repo::connection;
using fly::repo::transaction;
using fly::test::postgres;

namespace {

std::unique_ptr<connection> connect(const fly::test::postgres_server& server) {
  auto opened = connection::open({.url = server.url()}, std::chrono::steady_clock::now() + 10s);
  if (!opened)
    throw std::runtime_error{fly::to_string(opened.error())};
  return std::move(*opened);
}

struct one_server {
  one_server() {
    servers.primary().sql("CREATE TABLE t (n int CONSTRAINT small CHECK (n < 100), "
                          "CONSTRAINT once UNIQUE (n) DEFERRABLE INITIALLY DEFERRED);"
                          "GRANT ALL ON t TO app");
    link = connect(servers.primary());
  }

  std::string count() { return servers.primary().sql("SELECT count(*) FROM t"); }

  /// Runs `work` as a function would be run, and returns what its caller hears.
  template <class F>
  caf::expected<fly::repo::position> run(F work, fly::repo::transaction_options options = {}) {
    try {
      transaction tx{*link, options};
      work(tx);
      return tx.finish();
    } catch (...) {
      return fly::repo::error_of_exception(std::current_exception(), link->report(), true);
    }
  }

  postgres servers;
  std::unique_ptr<connection> link;
};

} // namespace

TEST_CASE_FIXTURE(one_server,
                  "a commit says where in the log it is, and which transaction it was") {
  std::string xid;
  auto where = run([&](pqxx::transaction_base& tx) {
    tx.exec("INSERT INTO t VALUES (1)");
    xid = tx.exec("SELECT pg_current_xact_id()")[0][0].c_str();
  });

  REQUIRE(where);
  CHECK(std::to_string(where->system) ==
        servers.primary().sql("SELECT system_identifier FROM pg_control_system()"));
  CHECK(where->timeline == 1);
  CHECK(std::to_string(*where->xid) == xid);
  CHECK(servers.primary().sql("SELECT '" + to_string(where->lsn) +
                              "'::pg_lsn <= pg_current_wal_flush_lsn()") == "t");
  CHECK(count() == "1");
}

TEST_CASE_FIXTURE(one_server, "commit and position are one round trip, and begin is another") {
  servers.primary().sql("ALTER SYSTEM SET log_statement = 'all'; ");
  servers.primary().sql("SELECT pg_reload_conf()");
  link = connect(servers.primary());
  auto lines = [&] {
    auto text = servers.primary().log();
    std::size_t found = 0;
    for (auto at = text.find("LOG:  statement:"); at != std::string::npos;
         at = text.find("LOG:  statement:", at + 1))
      ++found;
    return found;
  };
  auto before = lines();

  REQUIRE(run([](auto& tx) { tx.exec("INSERT INTO t VALUES (1)"); },
              {.deadline = std::chrono::steady_clock::now() + 5s}));

  CHECK(lines() - before == 3);
}

TEST_CASE_FIXTURE(one_server, "a transaction that wrote nothing has a position but no id") {
  auto where = run([](auto& tx) { tx.exec("SELECT 1"); });

  REQUIRE(where);
  CHECK_FALSE(where->xid);
  CHECK(where->lsn > fly::repo::lsn{});
}

TEST_CASE_FIXTURE(one_server, "a position covers the commit though synchronous_commit is off") {
  for (int i = 0; i < 50; ++i) {
    // An insert position at or above the commit record, read by the transaction itself, is a lower
    // bound of where the commit record is.
    fly::repo::lsn inserted;
    auto where = run([&](auto& tx) {
      tx.exec("SET LOCAL synchronous_commit = off");
      tx.exec("INSERT INTO t VALUES (" + std::to_string(i) + ")");
      inserted =
          *fly::repo::lsn::parse(tx.exec("SELECT pg_current_wal_insert_lsn()")[0][0].c_str());
    });
    REQUIRE(where);
    CHECK(where->lsn > inserted);
  }
}

TEST_CASE_FIXTURE(one_server, "another synchronous_commit than off stays as the function set it") {
  servers.primary().sql("CREATE TABLE seen (setting text); GRANT ALL ON seen TO app;"
                        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                        "INSERT INTO seen VALUES (current_setting('synchronous_commit')); "
                        "RETURN NULL; END $$;"
                        "CREATE CONSTRAINT TRIGGER note AFTER INSERT ON t DEFERRABLE "
                        "INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note()");
  auto with = [&](const std::string& setting) {
    servers.primary().sql("TRUNCATE t, seen");
    REQUIRE(run([&](auto& tx) {
      tx.exec("SET LOCAL synchronous_commit = " + setting);
      tx.exec("INSERT INTO t VALUES (1)");
    }));
    return servers.primary().sql("SELECT setting FROM seen");
  };

  CHECK(with("off") == "local");
  CHECK(with("local") == "local");
  CHECK(with("remote_write") == "remote_write");
  CHECK(with("on") == "on");
}

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
      CHECK_THROWS(tx.exec_params("INSERT INTO t VALUES ($1)", 1000));
    });
    REQUIRE_FALSE(where);
    CHECK(where.error() == errc::sql_failed);
    CHECK(details_of(where.error())["sqlstate"] == "23514");
    CHECK(details_of(where.error())["constraint"] == "small");
  }
  SUBCASE("and a later statement that fails for it is not the news") {
    auto where = run([](auto& tx) {
      CHECK_THROWS(tx.exec_params("INSERT INTO t VALUES ($1)", 1000));
      tx.exec_params("INSERT INTO t VALUES ($1)", 2);
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

TEST_CASE_FIXTURE(one_server, "an exception of the function's own rolls back and says its type") {
  auto where = run([](auto& tx) {
    tx.exec("INSERT INTO t VALUES (1)");
    throw std::domain_error{"no pens left"};
  });

  REQUIRE_FALSE(where);
  CHECK(where.error() == errc::function_failed);
  CHECK(text_of(where.error()) == "std::domain_error: no pens left");
  CHECK(details_of(where.error())["exception"] == "std::domain_error");
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
      CHECK_THROWS(tx.exec_params("INSERT INTO t VALUES ($1)", 2));
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

TEST_CASE_FIXTURE(one_server, "a function that commits itself gets the position of that commit") {
  auto where = run([](pqxx::transaction_base& tx) {
    tx.exec("INSERT INTO t VALUES (1)");
    tx.commit();
  });

  REQUIRE(where);
  CHECK(where->xid);
  CHECK(count() == "1");
}

TEST_CASE_FIXTURE(one_server,
                  "a deadline bounds each statement of the transaction, not later ones") {
  auto where = run([](auto& tx) { tx.exec("SELECT pg_sleep(10)"); },
                   {.deadline = std::chrono::steady_clock::now() + 50ms});

  REQUIRE_FALSE(where);
  CHECK(where.error() == errc::sql_failed);
  CHECK(details_of(where.error())["sqlstate"] == "57014");
  CHECK(run([](auto& tx) {
    CHECK(tx.exec("SHOW statement_timeout")[0][0].c_str() == doctest::String("0"));
  }));
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

TEST_CASE_FIXTURE(one_server, "a read-only transaction reads, and refuses to write") {
  transaction tx{*link, {.read_only = true}};
  CHECK(tx.exec("SELECT 1")[0][0].as<int>() == 1);
  CHECK_FALSE(tx.finish_reading());

  transaction second{*link, {.read_only = true}};
  CHECK_THROWS(second.exec("INSERT INTO t VALUES (1)"));
  CHECK(second.finish_reading() == errc::sql_failed);
}
