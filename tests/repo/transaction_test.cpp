// Proves the one round trip of commit and position, and that the position covers the commit.
#include "fly/repo/transaction.hpp"

#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <stdexcept>
#include <thread>

#include <doctest/doctest.h>

#include "fly/repo/exec.hpp"
#include "tests/repo/one_server.hpp"

using namespace std::chrono_literals;
using fly::details_of;
using fly::errc;
using fly::text_of;
using fly::repo::transaction;
using fly::test::connect;
using fly::test::one_server;

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

TEST_CASE_FIXTURE(one_server, "a text with a zero byte is refused, not cut off") {
  servers.primary().sql("CREATE TABLE notes (note text); GRANT ALL ON notes TO app");
  auto note = run([](pqxx::transaction_base& tx) {
    fly::repo::exec(tx, "INSERT INTO notes VALUES ($1)", std::string{"a\0b", 3});
  });
  auto statement = run([](pqxx::transaction_base& tx) {
    fly::repo::exec(tx, std::string{"DELETE FROM t\0 WHERE n = 1", 26});
  });

  CHECK(fly::code_of(note.error()) == errc::invalid_argument);
  CHECK(text_of(note.error()).starts_with("parameter $1 has a zero byte"));
  CHECK(fly::code_of(statement.error()) == errc::invalid_argument);
  CHECK(text_of(statement.error()) == "the statement has a zero byte behind 13 bytes");
  CHECK(servers.primary().sql("SELECT count(*) FROM notes") == "0");
}

TEST_CASE_FIXTURE(one_server, "an error of class 08 that leaves the session is the statement's") {
  auto few = run([](pqxx::transaction_base& tx) { fly::repo::exec(tx, "SELECT $1::int"); });
  auto far = run([](pqxx::transaction_base& tx) {
    tx.exec("DO $$ BEGIN RAISE 'no foreign server' USING ERRCODE = '08001'; END $$");
  });

  CHECK(fly::code_of(few.error()) == errc::sql_failed);
  CHECK(details_of(few.error()).at("sqlstate") == "08P01");
  CHECK(fly::code_of(far.error()) == errc::sql_failed);
  CHECK(text_of(far.error()) == "no foreign server");
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

TEST_CASE_FIXTURE(one_server, "a read-only transaction reads, and refuses to write") {
  transaction tx{*link, {.read_only = true}};
  CHECK(tx.exec("SELECT 1")[0][0].as<int>() == 1);
  CHECK_FALSE(tx.finish_reading());

  transaction second{*link, {.read_only = true}};
  CHECK_THROWS(second.exec("INSERT INTO t VALUES (1)"));
  CHECK(second.finish_reading() == errc::sql_failed);
}

TEST_CASE_FIXTURE(one_server, "a read that swallowed an error is told so") {
  {
    transaction tx{*link, {.read_only = true}};
    CHECK_THROWS(fly::repo::compat::exec_with(tx, "SELECT 1 / $1::int", {{"0"}}));
    auto reason = tx.finish_reading();
    CHECK(reason == errc::sql_failed);
    CHECK(details_of(reason)["sqlstate"] == "22012");
  }
  CHECK(link->reusable());
}

TEST_CASE_FIXTURE(one_server, "a commit fails on a server of a lower timeline or another start") {
  const auto& here = link->identity();
  auto commit = [&](std::uint32_t timeline_min, std::int64_t started_us) {
    transaction tx{*link};
    tx.exec("INSERT INTO t VALUES (" + std::to_string(timeline_min % 90) + ")");
    tx.expect({timeline_min, started_us});
    return tx.finish();
  };

  for (auto started_us : {here.started_us - 1, here.started_us + 1, std::int64_t{1},
                          std::int64_t{-1}, std::numeric_limits<std::int64_t>::max()}) {
    auto another = commit(1, started_us);
    REQUIRE_FALSE(another);
    CHECK(another.error() == errc::not_primary);
    CHECK(text_of(another.error()).find("fly.server_is_another") != std::string::npos);
  }
  for (std::uint32_t timeline : {2U, 10U, 0xFFFFFFFFU}) {
    auto left = commit(timeline, here.started_us);
    REQUIRE_FALSE(left);
    CHECK(left.error() == errc::not_primary);
    CHECK(text_of(left.error()).find("fly.timeline_was_left") != std::string::npos);
  }
  CHECK(count() == "0");
  CHECK(commit(0, 0));
  CHECK(commit(1, here.started_us));
  CHECK(count() == "2");
}

TEST_CASE_FIXTURE(one_server, "the guard means the same whatever a function set") {
  auto where = run([&](transaction& tx) {
    tx.exec("SET LOCAL DateStyle = 'SQL, DMY'; SET LOCAL TimeZone = 'Asia/Tokyo'; "
            "SET LOCAL standard_conforming_strings = off; SET LOCAL bytea_output = 'escape'");
    tx.exec("INSERT INTO t VALUES (1)");
    tx.expect({1, link->identity().started_us});
  });

  CHECK_MESSAGE(where, fly::to_string(where ? caf::error{} : where.error()));
  CHECK(count() == "1");
}

TEST_CASE_FIXTURE(one_server, "guard and position are planned once for each session") {
  REQUIRE(run([](auto& tx) { tx.exec("INSERT INTO t VALUES (1)"); }));
  std::string plans;
  REQUIRE(run([&](auto& tx) {
    plans = tx.exec("SELECT string_agg(name || ' ' || (generic_plans + custom_plans), ', ' ORDER "
                    "BY name) FROM pg_prepared_statements")[0][0]
                .c_str();
  }));

  CHECK(plans == "fly_after_commit 1, fly_guard 1");
}

TEST_CASE_FIXTURE(one_server,
                  "a function that drops what fly keeps loses its own write, and no later one") {
  REQUIRE(run([](auto& tx) { tx.exec("INSERT INTO t VALUES (1)"); }));

  auto where = run([](auto& tx) {
    tx.exec("INSERT INTO t VALUES (2)");
    tx.exec("DEALLOCATE ALL");
  });

  REQUIRE_FALSE(where);
  CHECK(where.error() == errc::sql_failed);
  CHECK(fly::details_of(where.error())["sqlstate"] == "26000");
  CHECK(count() == "1");
  CHECK(run([](auto& tx) { tx.exec("INSERT INTO t VALUES (3)"); }));
  CHECK(count() == "2");
}

TEST_CASE("a kept statement has one text to keep it, one to run it, and one for anywhere") {
  fly::repo::kept_statement what{"fly_x", "text, bigint", "SELECT $2, $1", {"E'a $2'", "7"}};

  CHECK(fly::repo::prepare_text(what) == "PREPARE fly_x(text, bigint) AS SELECT $2, $1");
  CHECK(fly::repo::execute_text(what) == "EXECUTE fly_x(E'a $2', 7)");
  CHECK(fly::repo::plain_text(what) == "SELECT 7, E'a $2'");
  CHECK(fly::repo::prepare_text({"fly_y", "", "SELECT 1"}) == "PREPARE fly_y AS SELECT 1");
  CHECK(fly::repo::execute_text({"fly_y", "", "SELECT 1"}) == "EXECUTE fly_y");
  CHECK(fly::repo::literal("it's \\ $1") == "E'it''s \\\\ $1'");
}

TEST_CASE("a connection that broke without a word of the server is told as such") {
  pqxx::broken_connection thrown{"Could not obtain client encoding: not connected."};

  auto reason = fly::repo::error_of_exception(std::make_exception_ptr(thrown), {}, true);

  CHECK(reason == errc::database_unavailable);
  CHECK(text_of(reason).starts_with("the connection to the database broke"));
}
