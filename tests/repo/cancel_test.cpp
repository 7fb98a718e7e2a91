// Proves that the end of a call cancels the statement that it runs, and that what a cancel leaves
// behind is told as it is: rolled back, committed, or unknown.
#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <thread>

#include <doctest/doctest.h>

#include "fly/repo/connection_pool.hpp"
#include "fly/repo/transaction_runner.hpp"
#include "fly/rpc/current_call.hpp"
#include "tests/repo/far_shops.hpp"
#include "tests/repo/one_server.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;

namespace {

/// Waits until a session but our own waits as `event` says (pg_stat_activity.wait_event).
bool waits_in(const postgres_server& server, const std::string& event) {
  return eventually([&] {
    return server.sql("SELECT count(*) > 0 FROM pg_stat_activity WHERE state = 'active' AND "
                      "wait_event = '" +
                      event + "'") == "t";
  });
}

/// Writes in the name of a call that another thread can cancel.
struct cancellable : one_server {
  repo::connection_pool pool{{.link = {.url = servers.primary().url()}, .connections_max = 1}};
  repo::transaction_runner runner{pool, std::make_shared<repo::role_board>(1h, [](const auto&) {}),
                                  1024, [](const repo::server_identity&) { return true; }};
  cluster::member caller{.id = "caller"};
  rpc::ticket permit;
  rpc::call_context context{std::chrono::steady_clock::now() + 1min, caller, nullptr, &permit};

  cancellable() { permit.begin(); }

  using outcome = caf::expected<repo::write_outcome>;

  /// Runs `work` in a transaction of the call on another thread.
  std::future<outcome> write(std::function<void(pqxx::transaction_base&)> work) {
    return std::async(std::launch::async, [this, work = std::move(work)] {
      rpc::call_scope scope{context};
      return runner.run_write(context.deadline, [&](repo::transaction& tx) {
        work(tx);
        return rpc::bytes{};
      });
    });
  }

  /// Takes the outcome, which comes long before the statement would have ended by itself.
  static outcome get(std::future<outcome>& of) {
    REQUIRE(of.wait_for(10s) == std::future_status::ready);
    return of.get();
  }

  void check_pool_works() {
    CHECK(pool.counts().open == 0); // a late cancel must not meet anybody else
    CHECK(runner.run_write(context.deadline, [](repo::transaction&) { return rpc::bytes{}; }));
  }
};

void insert(pqxx::transaction_base& tx) {
  tx.exec("INSERT INTO t VALUES (1)");
}

} // namespace

TEST_CASE_FIXTURE(cancellable, "a running statement ends when its call is cancelled") {
  auto wrote = write([](auto& tx) {
    insert(tx);
    tx.exec("SELECT pg_sleep(60)");
  });
  REQUIRE(waits_in(servers.primary(), "PgSleep"));

  permit.cancel();

  auto reason = get(wrote).error();
  CHECK(reason == errc::sql_failed);
  CHECK(details_of(reason)["sqlstate"] == "57014");
  CHECK(count() == "0");
  check_pool_works();
}

TEST_CASE_FIXTURE(cancellable, "a cancel between two statements ends the next one") {
  std::promise<void> cancelled;
  auto wrote = write([&](auto& tx) {
    insert(tx);
    cancelled.get_future().wait();
    tx.exec("SELECT pg_sleep(60)");
  });

  permit.cancel();
  cancelled.set_value();

  CHECK_FALSE(get(wrote));
  CHECK(count() == "0");
  check_pool_works();
}

TEST_CASE_FIXTURE(cancellable, "what nobody waits for any more is not committed, nor begun") {
  SUBCASE("cancelled while the function ran") {
    auto wrote = write([&](auto& tx) {
      insert(tx);
      permit.cancel();
    });
    auto outcome = get(wrote);
    CHECK_FALSE(outcome);
    CHECK(count() == "0");
  }
  SUBCASE("cancelled before") {
    permit.cancel();
    auto wrote = write([&](auto&) { FAIL("it ran"); });
    CHECK(get(wrote).error() == errc::expired);
  }
  check_pool_works();
}

TEST_CASE_FIXTURE(cancellable, "what is done after the deadline is not committed") {
  context.deadline = std::chrono::steady_clock::now() + 1s;
  auto wrote = write([&](auto& tx) {
    insert(tx);
    std::this_thread::sleep_until(context.deadline);
  });
  CHECK(get(wrote).error() == errc::expired);
  CHECK(count() == "0");
}

TEST_CASE_FIXTURE(cancellable, "a cancel while the server checks the commit rolls it back") {
  servers.primary().sql(
      "CREATE FUNCTION nap() RETURNS trigger LANGUAGE plpgsql AS "
      "'BEGIN PERFORM pg_sleep(60); RETURN NULL; END';"
      "CREATE CONSTRAINT TRIGGER naps AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED "
      "FOR EACH ROW EXECUTE FUNCTION nap()");
  auto wrote = write(insert);
  REQUIRE(waits_in(servers.primary(), "PgSleep"));

  permit.cancel();

  auto reason = get(wrote).error();
  CHECK(reason == errc::sql_failed);
  CHECK(details_of(reason)["sqlstate"] == "57014");
  CHECK(count() == "0");
}

TEST_CASE_FIXTURE(cancellable,
                  "a cancel while the commit waits for a standby leaves it committed") {
  servers.primary().sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
  servers.primary().sql("SELECT pg_reload_conf()");
  REQUIRE(eventually(
      [&] { return servers.primary().sql("SHOW synchronous_standby_names") == "nobody"; }));
  auto wrote = write(insert);
  REQUIRE(waits_in(servers.primary(), "SyncRep"));

  permit.cancel();

  auto outcome = get(wrote);
  servers.primary().sql("ALTER SYSTEM RESET synchronous_standby_names");
  servers.primary().sql("SELECT pg_reload_conf()");
  CHECK(count() == "1");
  // A second cancel may have met the statement behind the commit: that is not known to be nothing.
  if (!outcome) {
    CHECK(outcome.error() == errc::outcome_unknown);
    CHECK(details_of(outcome.error())["committed"] == "yes");
  }
}

TEST_CASE_FIXTURE(cancellable, "a cancel behind the commit is unknown, and says that it holds") {
  auto wrote = std::async(std::launch::async, [&] {
    repo::transaction tx{*link};
    insert(tx);
    tx.test_replace_position_query("SELECT pg_current_wal_flush_lsn(), '00000001', '' "
                                   "FROM pg_sleep(60)");
    return tx.finish();
  });
  REQUIRE(waits_in(servers.primary(), "PgSleep"));
  repo::statement_canceller canceller;

  canceller.cancel(link->canceller());

  REQUIRE(wrote.wait_for(10s) == std::future_status::ready);
  auto reason = wrote.get().error();
  CHECK(reason == errc::outcome_unknown);
  CHECK(details_of(reason)["committed"] == "yes");
  CHECK(count() == "1");
}

TEST_CASE_FIXTURE(cancellable, "a canceller whose server is frozen ends all the same") {
  auto& server = servers.primary();
  auto canceller = std::make_unique<repo::statement_canceller>();
  server.freeze();
  canceller->cancel(link->canceller());

  auto begun = std::chrono::steady_clock::now();
  canceller = nullptr;

  CHECK(std::chrono::steady_clock::now() - begun < 5s);
  server.thaw();
}

namespace {

/// syd has the database and serves what sleeps in it; lax calls.
struct far_sleepers {
  postgres servers{0};
  far_shop syd{"syd", servers.primary().url()};
  cluster::node lax{far_options("lax", {syd.address()})};
  std::unique_ptr<rpc::endpoint> from = std::make_unique<rpc::endpoint>(lax);
  std::promise<caf::error> heard;
  std::string key = "not called";

  static constexpr rpc::function<void()> read{"test.read"};
  static constexpr repo::write<void()> sleep{"test.sleep"};

  far_sleepers() {
    syd.rpc.serve(read, [this] {
      heard.set_value(
          syd.db->read([](pqxx::transaction_base& tx) { return tx.exec("SELECT pg_sleep(60)"); })
              .error());
    });
    syd.db->serve(sleep, [this](pqxx::transaction_base& tx, const rpc::call_context& context) {
      key = context.key;
      tx.exec("SELECT pg_sleep(60)");
    });
    REQUIRE_FALSE(syd.node.join());
    REQUIRE_FALSE(lax.join());
    REQUIRE(eventually([&] {
      for (const auto& it : lax.views())
        if (it.who.region == "syd" && it.services.size() > 1)
          return !lax.primary_group().empty();
      return false;
    }));
  }

  rpc::call_end start(std::string_view name, rpc::bytes arguments) {
    return from->start(rpc::target::primary(), name, {}, std::move(arguments),
                       std::chrono::steady_clock::now() + 1min, [](caf::expected<rpc::bytes>) {});
  }

  bool sleeps() { return waits_in(servers.primary(), "PgSleep"); }
  bool wakes() {
    return eventually([&] {
      return servers.primary().sql("SELECT count(*) FROM pg_stat_activity WHERE "
                                   "wait_event = 'PgSleep'") == "0";
    });
  }
};

} // namespace

TEST_CASE_FIXTURE(far_sleepers, "a write ends in the database when its far caller gives up") {
  auto end = start(sleep.name, *rpc::encode(std::string{"once-1"}));
  REQUIRE(sleeps());
  CHECK(key == "once-1");

  end();

  CHECK(wakes());
}

TEST_CASE_FIXTURE(far_sleepers, "a write ends in the database when its caller is gone") {
  start(sleep.name, *rpc::encode(std::string{}));
  REQUIRE(sleeps());

  from = nullptr;

  CHECK(wakes());
}

TEST_CASE_FIXTURE(far_sleepers, "the transaction of a served function ends with its call") {
  auto end = start(read.name, {});
  REQUIRE(sleeps());

  end();

  CHECK(wakes());
  CHECK(details_of(heard.get_future().get())["sqlstate"] == "57014");
}
