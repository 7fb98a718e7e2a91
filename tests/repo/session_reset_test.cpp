// Proves that what a function does to its session is gone before the next one gets it, and that
// this costs no round trip.
#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>

#include <doctest/doctest.h>

#include <pqxx/pqxx>

#include "fly/repo/local_database.hpp"
#include "fly/repo/transaction.hpp"
#include "tests/repo/one_server.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;

namespace {

/// A server with a role to become, and functions that all get the same session.
struct one_session {
  explicit one_session(std::size_t replicas = 0) : servers(replicas) {
    servers.primary().sql("CREATE ROLE other; GRANT other TO app; CREATE SCHEMA elsewhere;"
                          "GRANT ALL ON SCHEMA elsewhere TO app;"
                          "CREATE FUNCTION hidden() RETURNS void LANGUAGE plpgsql AS $$ BEGIN "
                          "PERFORM set_config('search_path', 'elsewhere', false), "
                          "pg_advisory_lock(9); END $$");
  }

  caf::error write(const std::function<void(pqxx::transaction_base&)>& f) const {
    auto outcome = db.write(f);
    return outcome ? caf::error{} : outcome.error();
  }

  std::string read(const std::string& sql) const {
    auto outcome = db.read([&](pqxx::transaction_base& tx) {
      auto field = tx.exec(sql)[0][0];
      return std::string{field.is_null() ? "NULL" : field.c_str()};
    });
    return outcome ? *outcome : fly::to_string(outcome.error());
  }

  std::string session_locks() {
    return servers.primary().sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'");
  }

  postgres servers;
  repo::local_database db{servers.primary().url(), 10s};
};

} // namespace

TEST_CASE_FIXTURE(one_session, "what a function does to its session does not reach the next one") {
  auto session = read("SELECT pg_backend_pid()");
  struct {
    const char* does;
    const char* look;
    const char* seen;
  } cases[] = {
      {"SET search_path = elsewhere", "SHOW search_path", "\"$user\", public"},
      {"SELECT set_config('search_path', 'elsewhere', false)", "SHOW search_path",
       "\"$user\", public"},
      {"SELECT hidden()", "SHOW search_path", "\"$user\", public"},
      {"SET statement_timeout = 7777", "SELECT current_setting('statement_timeout') = '7777ms'",
       "f"},
      {"SET ROLE other", "SELECT current_user", "app"},
      {"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE",
       "SHOW transaction_isolation", "read committed"},
      {"SET my.own = 'secret'", "SELECT current_setting('my.own', true)", ""},
      {"CREATE TEMP TABLE scratch (n int)", "SELECT to_regclass('scratch')", "NULL"},
      {"CREATE TEMP TABLE scratch AS SELECT 1", "SELECT to_regclass('scratch')", "NULL"},
      {"DECLARE left_open CURSOR WITH HOLD FOR SELECT 1", "SELECT count(*) FROM pg_cursors", "0"},
      {"LISTEN news", "SELECT count(*) FROM pg_listening_channels()", "0"},
      {"SELECT pg_advisory_lock(7)",
       "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7", "0"},
  };
  for (const auto& each : cases) {
    CAPTURE(each.does);
    CHECK_FALSE(write([&](auto& tx) { tx.exec(each.does); }));
    CHECK(session_locks() == "0"); // at once, not when it is used next
    CHECK(read(each.look) == each.seen);
    CHECK(read("SELECT pg_backend_pid()") == session);
  }
}

TEST_CASE_FIXTURE(one_session, "nor what a function does that fails, or only reads") {
  auto session = read("SELECT pg_backend_pid()");
  for (bool by_sql : {true, false}) {
    CHECK(write([&](auto& tx) {
      tx.exec("SET search_path = elsewhere; SELECT pg_advisory_lock(7)");
      if (by_sql)
        tx.exec("SELECT 1 / 0");
      throw std::domain_error{"no pens left"};
    }));
    CHECK(session_locks() == "0");
    CHECK(read("SHOW search_path") == "\"$user\", public");
  }
  CHECK(read("SELECT set_config('search_path', 'elsewhere', false), pg_advisory_lock(7)") ==
        "elsewhere");
  CHECK(session_locks() == "0");
  CHECK(read("SHOW search_path") == "\"$user\", public");
  CHECK(read("SELECT pg_backend_pid()") == session);
}

TEST_CASE("on a replica a read leaves its session as it was, too") {
  one_session primary{1};
  repo::local_database replica{primary.servers.replica(0).url(), 10s};
  auto path = [&](const std::string& before) {
    auto outcome = replica.read([&](pqxx::transaction_base& tx) {
      if (!before.empty())
        tx.exec(before);
      return std::string{tx.exec("SHOW search_path")[0][0].c_str()};
    });
    return outcome ? *outcome : fly::to_string(outcome.error());
  };

  CHECK(path("SET search_path = elsewhere") == "elsewhere");
  CHECK(path("") == "\"$user\", public");
}

TEST_CASE_FIXTURE(one_server, "what the connection itself was opened with stays") {
  auto open = [&](repo::link_options options) {
    auto opened = repo::connection::open(options, std::chrono::steady_clock::now() + 10s);
    REQUIRE(opened);
    return std::move(*opened);
  };
  auto after_a_read = [](repo::connection& on, const char* does, const char* look) {
    {
      repo::transaction tx{on, {.read_only = true}};
      tx.exec(does);
      CHECK_FALSE(tx.finish_reading());
    }
    repo::transaction tx{on, {.read_only = true}};
    return std::string{tx.exec(look)[0][0].c_str()};
  };

  auto reader = open({.url = servers.primary().url(), .read_only = true});
  CHECK(after_a_read(*reader, "SELECT 1", "SHOW default_transaction_read_only") == "on");
  auto named = open({.url = servers.primary().url() + "?options=-csearch_path%3Dshop",
                     .application_name = "shop"});
  CHECK(after_a_read(*named, "SET search_path = x", "SHOW search_path") == "shop");
  CHECK(after_a_read(*named, "SET application_name = x", "SHOW application_name") == "shop");
  // Behind a pooler the settings are the pooler's, too.
  auto pooled = open({.url = servers.primary().url(), .pooled = true});
  CHECK(after_a_read(*pooled, "SELECT pg_advisory_lock(7)",
                     "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == "0");
  CHECK(after_a_read(*pooled, "SET search_path = x", "SHOW search_path") == "x");
}

TEST_CASE_FIXTURE(one_session, "a read that makes itself a write commits nothing") {
  servers.primary().sql("CREATE TABLE t (n int); GRANT ALL ON t TO app");
  auto reading = [&](const std::string& first, const std::string& last = "SELECT 1") {
    auto outcome = db.read([&](pqxx::transaction_base& tx) {
      tx.exec(first);
      tx.exec("INSERT INTO t VALUES (1)");
      tx.exec(last);
    });
    return outcome ? caf::error{} : outcome.error();
  };

  for (const char* first : {"SET TRANSACTION READ WRITE", "SET LOCAL transaction_read_only = off",
                            "BEGIN READ WRITE", "START TRANSACTION READ WRITE"}) {
    CAPTURE(first);
    auto refused = reading(first);
    CHECK(refused == errc::function_failed);
    CHECK(text_of(refused).find("what writes is a write") != std::string::npos);
    CHECK(servers.primary().sql("SELECT count(*) FROM t") == "0");
    CHECK(read("SHOW transaction_read_only") == "on"); // the next one
  }
  CHECK(reading("SET TRANSACTION READ WRITE", "SET TRANSACTION READ ONLY") ==
        errc::function_failed);
  for (const char* late : {"SELECT set_config('transaction_read_only', 'off', true)",
                           "DO $$ BEGIN SET TRANSACTION READ WRITE; END $$"})
    CHECK(details_of(reading(late))["sqlstate"] == "25001"); // PostgreSQL refuses it itself
  CHECK_FALSE(db.read([](auto& tx) { tx.exec("SET LOCAL work_mem = '1MB'; SELECT 1"); }).error());
  CHECK(servers.primary().sql("SELECT count(*) FROM t") == "0");
}
