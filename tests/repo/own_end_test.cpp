// Proves that a function which ends the transaction that it was given, or leaves a COPY, is told
// so: by which statement, and what of it remains; and that nobody gets its connection after it.
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <tuple>

#include <doctest/doctest.h>

#include <pqxx/pqxx>

#include "fly/repo/exec.hpp"
#include "fly/repo/local_database.hpp"
#include "fly/repo/statement.hpp"
#include "tests/repo/far_shops.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;

namespace {

/// A server that takes PREPARE TRANSACTION, and functions that run here.
struct one_table {
  one_table() { servers.primary().sql("CREATE TABLE t (n int); GRANT ALL ON t TO app"); }

  /// Inserts 1, runs `sql`, then inserts 2 where `goes_on`, and returns what its caller hears.
  caf::error run(const std::string& sql, bool goes_on = false) {
    servers.primary().sql("TRUNCATE t");
    auto outcome = db.write([&](pqxx::transaction_base& tx) {
      tx.exec("INSERT INTO t VALUES (1)");
      tx.exec(sql);
      if (goes_on)
        tx.exec("INSERT INTO t VALUES (2)");
    });
    return outcome ? caf::error{} : outcome.error();
  }

  std::string rows() {
    return servers.primary().sql("SELECT coalesce(string_agg(n::text, ' ' ORDER BY n), '') FROM t");
  }

  /// The session that the next call gets.
  int session() {
    return *db.read([](pqxx::transaction_base& tx) {
      return tx.exec("SELECT pg_backend_pid()")[0][0].as<int>();
    });
  }

  postgres servers{0, {"max_prepared_transactions = 5"}};
  repo::local_database db{servers.primary().url(), 10s};
};

std::string detail(const caf::error& reason, const char* name) {
  return details_of(reason)[name];
}

void copy_in(pqxx::transaction_base& tx, int n_max) {
#if PQXX_VERSION_MAJOR >= 7
  auto to = pqxx::stream_to::raw_table(tx, "t");
#else
  pqxx::stream_to to{tx, "t"};
#endif
  for (int n = 1; n <= n_max; ++n)
    to << std::tuple<int>{n};
  to.complete();
}

int copy_out(pqxx::transaction_base& tx) {
  int sum = 0;
#if PQXX_VERSION_MAJOR >= 7
  for (auto [n] : tx.stream<int>("SELECT n FROM t"))
    sum += n;
#else
  pqxx::stream_from from{tx, "t"};
  std::tuple<int> row;
  while (from >> row)
    sum += std::get<0>(row);
#endif
  return sum;
}

} // namespace

TEST_CASE_FIXTURE(one_table, "a COMMIT of the function's own is named, and said to hold") {
  struct {
    const char* sql;
    const char* by;
    const char* rows;      // where it ends there
    const char* rows_then; // where it goes on
  } cases[] = {
      {"COMMIT", "COMMIT", "1", "1 2"},
      {"/* done */ COMMIT -- really", "COMMIT", "1", "1 2"},
      {"END", "COMMIT", "1", "1 2"},
      {"COMMIT AND CHAIN", "COMMIT AND CHAIN", "1", "1"},
      {"COMMIT; BEGIN", "COMMIT", "1", "1"},
      {"INSERT INTO t VALUES (3); COMMIT; INSERT INTO t VALUES (4)", "COMMIT", "1 3 4", "1 2 3 4"},
  };
  for (const auto& each : cases) {
    CAPTURE(each.sql);
    for (bool goes_on : {false, true}) {
      auto before = session();
      auto told = run(each.sql, goes_on);
      CHECK_MESSAGE(told == errc::function_failed, fly::to_string(told));
      CHECK(detail(told, "committed") == "yes");
      CHECK(detail(told, "ended_by") == each.by);
      CHECK(rows() == (goes_on ? each.rows_then : each.rows));
      CHECK(session() != before);
    }
  }
}

TEST_CASE_FIXTURE(one_table, "a ROLLBACK of the function's own is named, and nothing remains") {
  struct {
    const char* sql;
    const char* by;
  } cases[] = {
      {"ROLLBACK", "ROLLBACK"},
      {"ABORT", "ROLLBACK"},
      {"SAVEPOINT a; ROLLBACK", "ROLLBACK"},
  };
  for (const auto& each : cases) {
    CAPTURE(each.sql);
    auto told = run(each.sql);
    CHECK_MESSAGE(told == errc::function_failed, fly::to_string(told));
    CHECK(detail(told, "committed").empty());
    CHECK(detail(told, "ended_by") == each.by);
    CHECK(rows() == "");

    auto before = session();
    told = run(each.sql, true);
    CHECK_MESSAGE(told == errc::outcome_unknown, fly::to_string(told));
    CHECK(detail(told, "ended_by") == each.by);
    CHECK(rows() == "2");
    CHECK(session() != before);
  }
  // What follows is in a transaction, which is rolled back.
  for (const char* sql : {"ROLLBACK AND CHAIN", "SAVEPOINT a; ROLLBACK AND CHAIN"}) {
    CAPTURE(sql);
    auto told = run(sql, true);
    CHECK_MESSAGE(told == errc::function_failed, fly::to_string(told));
    CHECK(detail(told, "ended_by") == "ROLLBACK AND CHAIN");
    CHECK(rows() == "");
  }
}

TEST_CASE_FIXTURE(one_table, "what leaves the transaction open is committed as ever") {
  for (const char* sql :
       {"BEGIN", "START TRANSACTION", "SAVEPOINT a; ROLLBACK TO SAVEPOINT a",
        "SAVEPOINT a; INSERT INTO t VALUES (3); ROLLBACK TO SAVEPOINT a; RELEASE SAVEPOINT a"}) {
    CAPTURE(sql);
    auto told = run(sql, true);
    CHECK_MESSAGE(!told, fly::to_string(told));
    CHECK(rows() == "1 2");
  }
  // Of a subtransaction that failed the error is no news.
  auto before = session();
  CHECK(db.write([](pqxx::transaction_base& tx) {
    try {
      pqxx::subtransaction sub{static_cast<pqxx::dbtransaction&>(tx), "sub"};
      sub.exec("SELECT 1 / 0");
    } catch (const pqxx::sql_error&) {
    }
    tx.exec("INSERT INTO t VALUES (3)");
  }));
  CHECK(rows() == "1 2 3");
  CHECK(session() == before);
}

TEST_CASE_FIXTURE(one_table, "a function that fails after its own COMMIT did not leave nothing") {
  auto told = run("COMMIT; SELECT 1 / 0");
  CHECK_MESSAGE(told == errc::function_failed, fly::to_string(told));
  CHECK(detail(told, "committed") == "yes");
  CHECK(text_of(told).find("division by zero") != std::string::npos);
  CHECK(rows() == "1");

  servers.primary().sql("TRUNCATE t");
  auto thrown = db.write([](pqxx::transaction_base& tx) {
    tx.exec("INSERT INTO t VALUES (1)");
    tx.commit();
    throw std::domain_error{"no pens left"};
  });
  CHECK(thrown.error() == errc::function_failed);
  CHECK(detail(thrown.error(), "committed") == "yes");
  CHECK(text_of(thrown.error()).find("no pens left") != std::string::npos);
  CHECK(rows() == "1");

  told = run("ROLLBACK; SELECT 1 / 0"); // nothing remains: the error itself is the news
  CHECK_MESSAGE(told == errc::sql_failed, fly::to_string(told));
  CHECK(detail(told, "sqlstate") == "22012");
}

TEST_CASE_FIXTURE(one_table, "a COMMIT of the function's own is told of, whatever follows it") {
  // A session that ends itself; a COPY that is left.
  for (const char* then : {"SELECT pg_terminate_backend(pg_backend_pid())", "COPY t FROM STDIN"}) {
    CAPTURE(then);
    auto told = run(std::string{"COMMIT; "} + then);
    CHECK_MESSAGE(told == errc::function_failed, fly::to_string(told));
    CHECK(detail(told, "committed") == "yes");
    CHECK(detail(told, "ended_by") == "COMMIT");
    CHECK(rows() == "1");
  }
}

TEST_CASE_FIXTURE(one_table, "PREPARE TRANSACTION leaves the outcome to somebody else") {
  auto told = run("PREPARE TRANSACTION 'a'");

  CHECK_MESSAGE(told == errc::outcome_unknown, fly::to_string(told));
  CHECK(detail(told, "ended_by") == "PREPARE TRANSACTION");
  CHECK(rows() == "");
  servers.primary().sql("COMMIT PREPARED 'a'");
  CHECK(rows() == "1");
}

TEST_CASE_FIXTURE(one_table, "a read that ends its transaction is told so, too") {
  auto read = [&](const char* sql) {
    auto outcome = db.read([&](pqxx::transaction_base& tx) { tx.exec(sql); });
    return outcome ? caf::error{} : outcome.error();
  };

  CHECK(detail(read("COMMIT; INSERT INTO t VALUES (1)"), "committed") == "yes");
  CHECK(read("ROLLBACK; INSERT INTO t VALUES (2)") == errc::outcome_unknown);
  CHECK(detail(read("COMMIT AND CHAIN"), "ended_by") == "COMMIT AND CHAIN");
  CHECK(rows() == "1 2");
}

TEST_CASE_FIXTURE(one_table, "a COPY is refused with its reason, and the session is of use after") {
  for (const char* sql : {"COPY t FROM STDIN", "COPY t TO STDOUT"}) {
    for (int how = 0; how < 4; ++how) {
      CAPTURE(sql);
      CAPTURE(how);
      auto before = session();
      auto outcome = db.write([&](pqxx::transaction_base& tx) {
        tx.exec("INSERT INTO t VALUES (1)");
        if (how == 0)
          repo::run_statement(tx, sql, {}); // `execute`
        else if (how == 1)
          repo::exec(tx, sql);
        else
          tx.exec(sql);
        if (how == 3)
          tx.exec("INSERT INTO t VALUES (2)");
      });
      REQUIRE_FALSE(outcome);
      CHECK_MESSAGE(outcome.error() == errc::invalid_argument, fly::to_string(outcome.error()));
      CHECK(text_of(outcome.error()).find(std::string{sql}.substr(7)) != std::string::npos);
      CHECK(rows() == "");
      CHECK(session() == before);
    }
  }
}

TEST_CASE_FIXTURE(one_table, "the streams of libpqxx copy as ever") {
  CHECK(db.write([](pqxx::transaction_base& tx) { copy_in(tx, 3); }));
  CHECK(rows() == "1 2 3");
  auto sum = db.write([](pqxx::transaction_base& tx) { return copy_out(tx); });
  REQUIRE(sum);
  CHECK(*sum == 6);
}

TEST_CASE_FIXTURE(far_shops, "a keyed write that ends its transaction itself is not run again") {
  constexpr repo::write<void(std::string)> ends{"shop.ends"};
  std::atomic<int> runs = 0;
  for (auto* it : {&syd, &lax})
    it->db->serve(ends, [&](pqxx::transaction_base& tx, const std::string& sql) {
      ++runs;
      tx.exec(sql);
      tx.exec("INSERT INTO orders (item, count) VALUES ('pen', 1)");
    });
  REQUIRE(eventually([&] { return static_cast<bool>(rpc_primary(*lax.db, ends, "SELECT 1")); }));
  runs = 0;

  auto rolled_back = rpc_primary(lax.db->with({.key = "a"}), ends, "ROLLBACK");
  CHECK(rolled_back.error() == errc::outcome_unknown);
  CHECK(detail(rolled_back.error(), "ended_by") == "ROLLBACK");
  auto committed = rpc_primary(lax.db->with({.key = "b"}), ends, "COMMIT");
  CHECK(committed.error() == errc::function_failed);
  CHECK(detail(committed.error(), "committed") == "yes");
  CHECK(runs == 2);

  // The entry came into the ledger with that COMMIT, and has no result.
  auto again = rpc_primary(lax.db->with({.key = "b"}), ends, "COMMIT");
  CHECK_MESSAGE(again.error() == errc::function_failed, fly::to_string(again.error()));
  CHECK(detail(again.error(), "committed") == "yes");
  CHECK(runs == 2);
  CHECK(lax.db->outcome("b").error() == errc::function_failed);
}
