// Proves that a write of one statement in one round trip ends as one of several does: guarded, with
// its position, and that nothing remains of what fails before the commit.
#include "fly/repo/one_statement.hpp"

#include <optional>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "fly/actors/must.hpp"
#include "fly/repo/commit_hold.hpp"
#include "fly/repo/transaction_runner.hpp"
#include "fly/rpc/server.hpp"
#include "tests/repo/one_server.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/pgbouncer.hpp"

using namespace fly;
using namespace fly::repo;
using namespace fly::test;
using namespace std::chrono_literals;

namespace {

struct one_write : one_server {
  caf::expected<one_outcome> write(const std::string& sql,
                                   const std::vector<parameter>& parameters = {},
                                   const expected_server& wanted = {}, bool repeats = false,
                                   std::chrono::milliseconds time = 10s) {
    return write_one(*link, {sql, parameters, repeats},
                     {.deadline = std::chrono::steady_clock::now() + time, .wanted = wanted});
  }

  caf::error failed(const std::string& sql, const std::vector<parameter>& parameters = {},
                    const expected_server& wanted = {}) {
    auto outcome = write(sql, parameters, wanted);
    REQUIRE_FALSE(outcome);
    return std::move(outcome.error());
  }

  /// Lets each row of t do `body` (plpgsql) first.
  void trigger(const std::string& body) {
    servers.primary().sql("CREATE OR REPLACE FUNCTION first() RETURNS trigger LANGUAGE plpgsql AS "
                          "$$ BEGIN " +
                          body +
                          " RETURN new; END $$;"
                          "CREATE OR REPLACE TRIGGER first BEFORE INSERT ON t FOR EACH ROW EXECUTE "
                          "FUNCTION first();"
                          "GRANT pg_signal_backend TO app");
  }

  std::string seen(const std::string& sql) {
    auto rows = link->link().query(sql, std::chrono::steady_clock::now() + 5s);
    REQUIRE(rows);
    return rows->front().front().value_or("NULL");
  }
};

constexpr auto insert = "INSERT INTO t VALUES ($1) RETURNING n, n + 1 AS more, NULL::text AS none";

} // namespace

TEST_CASE_FIXTURE(one_write, "one statement is committed, and tells its rows and its position") {
  for (int n = 1; n <= 3; ++n) {
    auto outcome = write(insert, {std::to_string(n)}, {}, n > 1);
    REQUIRE_MESSAGE(outcome, fly::to_string(outcome.error()));
    CHECK(outcome->rows.columns == std::vector<std::string>{"n", "more", "none"});
    REQUIRE(outcome->rows.size() == 1);
    CHECK(outcome->rows.get<int>(0, "more") == n + 1);
    CHECK(outcome->rows.rows[0][2] == std::nullopt);
    CHECK(outcome->rows.affected_rows == 1);
    CHECK(outcome->where.system == link->identity().system);
    CHECK(outcome->where.timeline == 1);
    CHECK(std::to_string(outcome->where.xid.value_or(0)) ==
          servers.primary().sql("SELECT xmin::text::int8 FROM t WHERE n = " + std::to_string(n)));
    CHECK(servers.primary().sql("SELECT pg_current_wal_flush_lsn() >= '" +
                                to_string(outcome->where.lsn) + "'") == "t");
  }
  auto all = write("UPDATE t SET n = n + 10");
  REQUIRE(all);
  CHECK(all->rows.affected_rows == 3);
  CHECK(all->rows.empty());
  auto none = write("DELETE FROM t WHERE n = 1");
  REQUIRE(none);
  CHECK(none->rows.affected_rows == 0);
  CHECK_FALSE(none->where.xid);
  CHECK(link->reusable());
}

TEST_CASE_FIXTURE(one_write, "nothing remains of what fails, and the session goes on") {
  struct {
    const char* sql;
    std::vector<parameter> parameters;
    const char* sqlstate;
  } cases[] = {
      {"INSERT INTO t VALUES ($1)", {"100"}, "23514"},                     // the statement
      {"INSERT INTO t VALUES ($1), ($1)", {"1"}, "23505"},                 // at the commit
      {"INSERT INTO t VALUES ($1)", {}, "08P01"},                          // a parameter is missing
      {"INSERT INTO t VALUES ($1)", {"x"}, "22P02"},                       // not a number
      {"INSERT INTO t SELECT 1 / 0", {}, "22012"},                         //
      {"INSERT INTO nowhere VALUES (1)", {}, "42P01"},                     //
      {"INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)", {}, "42601"}, // two of them
      {"nonsense", {}, "42601"},
  };
  for (const auto& each : cases) {
    CAPTURE(each.sql);
    auto reason = failed(each.sql, each.parameters);
    CHECK(reason == errc::sql_failed);
    CHECK(details_of(reason)["sqlstate"] == each.sqlstate);
    CHECK(link->reusable());
  }
  CHECK(details_of(failed("INSERT INTO t VALUES (100)"))["constraint"] == "small");
  CHECK(count() == "0");
  CHECK(write(insert, {"1"}));
}

TEST_CASE_FIXTURE(one_write,
                  "one statement is refused on another server, and where commits are held") {
  auto here = link->identity().started_us;
  for (const auto& wanted : {expected_server{2, here}, expected_server{0xFFFFFFFFU, 0},
                             expected_server{1, here + 1}, expected_server{1, -1}}) {
    auto reason = failed("INSERT INTO t VALUES (1)", {}, wanted);
    CHECK(reason == errc::not_primary);
    CHECK_FALSE(is_held(reason));
  }
  CHECK(write("INSERT INTO t VALUES (1)", {}, {1, here}));

  commit_hold hold{{.url = servers.primary().url()}, 5s};
  REQUIRE(hold.ask(0, std::chrono::steady_clock::now() + 20s).held);
  CHECK(is_held(failed("INSERT INTO t VALUES (2)")));
  hold.end();
  CHECK(eventually([&] { return write("INSERT INTO t VALUES (3)").engaged(); }));
  CHECK(count() == "2");
}

TEST_CASE_FIXTURE(one_write, "one statement ends at its deadline") {
  auto late = write("INSERT INTO t SELECT 1 FROM pg_sleep(5)", {}, {}, false, 50ms);
  REQUIRE_FALSE(late);
  CHECK(details_of(late.error())["sqlstate"] == "57014");
  CHECK(count() == "0");
  CHECK(write("INSERT INTO t SELECT 1 FROM pg_sleep(0.1)"));
}

TEST_CASE_FIXTURE(one_write, "a session that the server ends before the commit leaves nothing") {
  trigger("PERFORM pg_terminate_backend(pg_backend_pid());");
  auto reason = failed("INSERT INTO t VALUES (1)");
  CHECK(reason == errc::database_unavailable);
  CHECK(details_of(reason)["sqlstate"] == "57P01");
  CHECK(details_of(reason).contains(rpc::not_started_detail));
  CHECK_FALSE(link->reusable());
  CHECK(count() == "0");
}

TEST_CASE_FIXTURE(one_write, "a connection that breaks meanwhile leaves it unknown") {
  std::thread breaks{[&] {
    CHECK(eventually([&] {
      return servers.primary().sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = "
                                   "'PgSleep'") == "1";
    }));
    link->cut();
  }};
  auto reason = failed("INSERT INTO t SELECT 1 FROM pg_sleep(1)");
  breaks.join();
  CHECK(reason == errc::outcome_unknown);
  CHECK_FALSE(link->reusable());
}

TEST_CASE_FIXTURE(one_write, "a proxy that ends the session leaves it unknown") {
  pgbouncer proxy{servers.primary(), "pool_mode = session\nquery_timeout = 1\n"};
  auto opened = connection::open({.url = proxy.url()}, std::chrono::steady_clock::now() + 10s);
  REQUIRE_MESSAGE(opened, fly::to_string(opened.error()));
  link = std::move(*opened);
  auto reason = failed("INSERT INTO t SELECT 1 FROM pg_sleep(2)");
  CHECK_MESSAGE(reason == errc::outcome_unknown, fly::to_string(reason));
  CHECK_FALSE(details_of(reason).contains(rpc::not_started_detail));
  CHECK_FALSE(link->reusable());
  CHECK(eventually([&] { return count() == "1"; })); // the server went on
}

TEST_CASE_FIXTURE(one_write, "what a trigger does to the session is undone") {
  trigger("PERFORM set_config('fly.mine', 'x', false), set_config('search_path', 'x', false), "
          "set_config('synchronous_commit', 'off', false), pg_advisory_lock(9);"
          "CREATE TEMP TABLE left_over (n int);");
  auto timeout = seen("SHOW statement_timeout");
  auto name = seen("SHOW application_name");
  REQUIRE(write("INSERT INTO public.t VALUES (1)"));
  CHECK(seen("SELECT coalesce(current_setting('fly.mine', true), '')") == "");
  CHECK(seen("SHOW search_path") != "x");
  CHECK(seen("SHOW statement_timeout") == timeout);
  CHECK(seen("SHOW application_name") == name);
  CHECK(seen("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == "0");
  CHECK(seen("SELECT count(*) FROM pg_class WHERE relname = 'left_over'") == "0");
}

TEST_CASE_FIXTURE(one_write, "statements that repeat are kept, until their tables change") {
  auto kept = [&] {
    return seen("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'fly_verb_%'");
  };
  REQUIRE(write(insert, {"1"}));
  CHECK(kept() == "0");
  for (auto n : {"2", "3", "4"})
    REQUIRE(write(insert, {n}, {}, true));
  CHECK(kept() == "1");

  servers.primary().sql("ALTER TABLE t ALTER n TYPE bigint");
  auto changed = write(insert, {"5"}, {}, true);
  REQUIRE_FALSE(changed);
  CHECK(was_kept_in_vain(changed.error()));
  CHECK(link->reusable());
  REQUIRE(write(insert, {"5"}, {}, true)); // this text no more
  REQUIRE(write("DELETE FROM t WHERE n = $1", {"5"}, {}, true));
  CHECK(count() == "4");

  seen("DEALLOCATE ALL; SELECT 1");
  auto dropped = write("DELETE FROM t WHERE n = $1", {"4"}, {}, true);
  REQUIRE_FALSE(dropped);
  CHECK(was_kept_in_vain(dropped.error()));
  CHECK_FALSE(link->reusable());
  CHECK(count() == "4");
}

TEST_CASE_FIXTURE(one_write, "a session keeps a hundred statements and no more") {
  for (int i = 0; i < 120; ++i)
    REQUIRE(write("INSERT INTO t SELECT $1::int + " + std::to_string(i) + " WHERE false", {"1"}, {},
                  true));
  CHECK(seen("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'fly_verb_%'") == "100");
}

// -- reads ----------------------------------------------------------------------------------------

namespace {

struct one_read : one_write {
  caf::expected<result> read(const std::string& sql, const std::vector<parameter>& parameters = {},
                             const checked_read* check = nullptr, bool repeats = false) {
    auto rows = read_one(*link, {sql, parameters, repeats, {}},
                         std::chrono::steady_clock::now() + 10s, check);
    if (!rows)
      return std::move(rows.error());
    return to_result(**rows);
  }

  /// Asks which backend it is, and lets `reason` decide.
  checked_read asking(const caf::error& reason) {
    return {.question =
                [](const server_identity&) {
                  return std::vector<link_statement>{{"fly_test_first", "SELECT 'first'"},
                                                     {{}, "SELECT pg_backend_pid()"}};
                },
            .before =
                [this, reason](const link_rows& rows, const server_identity&) {
                  before = rows.at(0).at(0).value_or("");
                  return reason;
                },
            .is_known = [this](const server_identity&, auto) { return known; },
            .after = [this](const link_rows& rows, const server_identity&) -> caf::error {
              after = rows.at(0).at(0).value_or("");
              return spoilt;
            },
            .answer_max = std::nullopt};
  }

  bool known = false;
  caf::error spoilt;
  std::string before;
  std::string after;
};

} // namespace

TEST_CASE("what gives rows is known by its first word") {
  for (auto sql : {"SELECT 1", " \n(select 1)", "With x AS (SELECT 1) TABLE x", "VALUES (1)",
                   "table t", "SELECT"})
    CHECK(gives_rows(sql));
  for (auto sql :
       {"", " (", "SELECTED", "INSERT INTO t VALUES (1)", "DO $$ $$", "COMMIT",
        "SET TRANSACTION READ WRITE", "/* SELECT */ COMMIT", "EXPLAIN SELECT 1", "SELEC"})
    CHECK_FALSE(gives_rows(sql));
}

TEST_CASE_FIXTURE(one_read, "one statement is read with what is asked before and behind it") {
  servers.primary().sql("INSERT INTO t VALUES (1), (2)");
  auto plain = read("SELECT n, NULL AS none FROM t WHERE n > $1 ORDER BY n", {"0"});
  REQUIRE_MESSAGE(plain, fly::to_string(plain.error()));
  CHECK(plain->columns == std::vector<std::string>{"n", "none"});
  CHECK(plain->rows == link_rows{{"1", std::nullopt}, {"2", std::nullopt}});
  CHECK(plain->affected_rows == 2);

  auto check = asking({});
  for (int i = 0; i < 3; ++i)
    CHECK(must(read("SELECT 3", {}, &check, i > 0)).rows == link_rows{{"3"}});
  CHECK(before == seen("SELECT pg_backend_pid()"));
  CHECK(after == before);
}

TEST_CASE_FIXTURE(one_read, "a check that refuses comes before what became of the statement") {
  auto check = asking(make_error(errc::not_visible, "too early"));
  for (auto sql : {"SELECT 1", "SELECT * FROM nowhere"}) {
    auto early = read(sql, {}, &check);
    REQUIRE_FALSE(early);
    CHECK(early.error() == errc::not_visible);
    CHECK(link->reusable());
  }
  CHECK(after.empty());
}

TEST_CASE_FIXTURE(one_read, "where it is known to be there nothing is asked before a statement") {
  auto check = asking(make_error(errc::not_visible, "too early"));
  known = true;
  CHECK(must(read("SELECT 4", {}, &check)).rows == link_rows{{"4"}});
  CHECK(before.empty());
  CHECK(after == seen("SELECT pg_backend_pid()"));
  spoilt = make_error(errc::database_unavailable, "it was another server");
  auto nothing = read("SELECT 4", {}, &check);
  REQUIRE_FALSE(nothing);
  CHECK(nothing.error() == errc::database_unavailable);
  CHECK(link->reusable());
}

TEST_CASE_FIXTURE(one_read, "one statement that reads cannot write, and leaves nothing behind") {
  struct {
    const char* sql;
    const char* sqlstate;
  } cases[] = {{"WITH x AS (INSERT INTO t VALUES (1) RETURNING n) SELECT * FROM x", "25006"},
               {"SELECT set_config('transaction_read_only', 'off', false)", "25001"},
               {"SELECT nothing", "42703"},
               {"SELECT 1; COMMIT", "42601"}};
  for (const auto& each : cases) {
    CAPTURE(each.sql);
    auto refused = read(each.sql);
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == errc::sql_failed);
    CHECK(details_of(refused.error())["sqlstate"] == each.sqlstate);
    CHECK(link->reusable());
  }
  REQUIRE(read("SELECT set_config('fly.mine', 'x', false), pg_advisory_lock(9)"));
  CHECK(seen("SELECT coalesce(current_setting('fly.mine', true), '')") == "");
  CHECK(seen("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == "0");
  CHECK(seen("SHOW transaction_read_only") == "off");
  CHECK(count() == "0");
}

TEST_CASE_FIXTURE(one_read, "a read that is kept is told where its table has changed") {
  servers.primary().sql("INSERT INTO t VALUES (7)");
  for (int i = 0; i < 2; ++i)
    REQUIRE(read("SELECT n FROM t", {}, nullptr, true));
  servers.primary().sql("ALTER TABLE t ALTER n TYPE bigint");
  auto changed = read("SELECT n FROM t", {}, nullptr, true);
  REQUIRE_FALSE(changed);
  CHECK(was_kept_in_vain(changed.error()));
  CHECK(read("SELECT n FROM t", {}, nullptr, true)->get<std::string>(0, "n") == "7");
  CHECK(link->reusable());
}

TEST_CASE_FIXTURE(one_read, "what cannot be run takes no room of what is kept") {
  for (int i = 0; i < 120; ++i) {
    auto refused = read("SELECT count(*) + " + std::to_string(i) + " FROM t FOR UPDATE");
    REQUIRE_FALSE(refused);
    REQUIRE(details_of(refused.error())["sqlstate"] == "0A000");
  }
  REQUIRE(read("SELECT 1", {}, nullptr, true));
  CHECK(seen("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'fly_verb_%'") == "1");
}
