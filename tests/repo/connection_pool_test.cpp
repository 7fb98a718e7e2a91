// Proves the bounds of the pool, that broken connections are replaced and never healed, that a
// database that is down is said so quickly, and that one without room is waited for.
#include "fly/repo/connection_pool.hpp"

#include <atomic>
#include <chrono>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include <pqxx/pqxx>

#include "fly/actors/error.hpp"
#include "fly/repo/transaction.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/postgres.hpp"

using namespace std::chrono_literals;
using fly::errc;
using fly::repo::connection_pool;
using fly::test::eventually;
using fly::test::postgres;

namespace {

using clock_type = std::chrono::steady_clock;

clock_type::time_point in(std::chrono::milliseconds delay) {
  return clock_type::now() + delay;
}

int backend(connection_pool::lease& lease) {
  fly::repo::transaction tx{*lease, {.read_only = true}};
  return tx.exec("SELECT pg_backend_pid()")[0][0].as<int>();
}

/// Returns how many of the 320 leases that 16 threads take and use one after the other were given.
int leases_of_many_threads(connection_pool& pool) {
  std::vector<std::thread> threads;
  std::atomic<int> served = 0;
  for (int i = 0; i < 16; ++i)
    threads.emplace_back([&] {
      for (int n = 0; n < 20; ++n)
        if (auto lease = pool.take(in(20s)); lease && backend(*lease) > 0)
          ++served;
    });
  for (auto& it : threads)
    it.join();
  return served;
}

struct one_pool {
  postgres servers;
  connection_pool pool{{.link = {.url = servers.primary().url(), .application_name = "shop"},
                        .connections_max = 2,
                        .queue_max = 1}};
};

} // namespace

TEST_CASE_FIXTURE(one_pool, "a connection that comes back is lent again") {
  int first = 0;
  {
    auto lease = pool.take(in(5s));
    REQUIRE(lease);
    CHECK_FALSE(lease->reused());
    first = backend(*lease);
    CHECK(servers.primary().sql("SELECT application_name FROM pg_stat_activity WHERE pid = " +
                                std::to_string(first)) == "shop");
  }
  auto again = pool.take(in(5s));

  REQUIRE(again);
  CHECK(again->reused());
  CHECK(backend(*again) == first);
  CHECK(pool.counts().open == 1);
}

TEST_CASE_FIXTURE(one_pool, "a connection that was not used has not worked") {
  std::chrono::steady_clock::time_point worked;
  {
    auto lease = pool.take(in(5s));
    REQUIRE(lease);
    worked = (*lease)->worked_at();
    std::this_thread::sleep_for(5ms);
    lease->unused();
  }
  {
    auto again = pool.take(in(5s));
    REQUIRE(again);
    CHECK((*again)->worked_at() == worked);
  }
  auto used = pool.take(in(5s));
  REQUIRE(used);
  CHECK((*used)->worked_at() > worked);
}

TEST_CASE_FIXTURE(one_pool,
                  "at the bound a caller waits its time, and one more is refused at once") {
  auto first = pool.take(in(5s));
  auto second = pool.take(in(5s));
  REQUIRE(first);
  REQUIRE(second);

  auto before = clock_type::now();
  CHECK(pool.take(in(50ms)).error() == errc::overloaded);
  CHECK(clock_type::now() - before >= 50ms);

  std::thread waiting{[&] { CHECK(pool.take(in(10s))); }};
  REQUIRE(eventually([&] { return pool.counts().waiting == 1; }));
  before = clock_type::now();
  CHECK(pool.take(in(10s)).error() == errc::overloaded);
  CHECK(clock_type::now() - before < 5s);
  { auto back = std::move(*first); }
  waiting.join();
  CHECK(pool.counts().open == 2);
}

TEST_CASE_FIXTURE(one_pool, "many threads share few connections, and all get their turn") {
  connection_pool small{{.link = {.url = servers.primary().url()}, .connections_max = 2}};

  CHECK(leases_of_many_threads(small) == 320);
  CHECK(small.counts().open <= 2);
  CHECK(small.counts().waiting == 0);
}

TEST_CASE_FIXTURE(one_pool, "a connection that broke while idle is replaced unseen") {
  int first = 0;
  {
    auto lease = pool.take(in(5s));
    first = backend(*lease);
  }
  servers.primary().sql("SELECT pg_terminate_backend(" + std::to_string(first) + ")");
  REQUIRE(eventually([&] {
    return servers.primary().sql("SELECT count(*) FROM pg_stat_activity WHERE pid = " +
                                 std::to_string(first)) == "0";
  }));

  auto lease = pool.take(in(5s));

  REQUIRE(lease);
  CHECK_FALSE(lease->reused());
  CHECK(backend(*lease) != first);
  CHECK(pool.counts().open == 1);
}

TEST_CASE_FIXTURE(one_pool, "a connection that broke in use never comes back") {
  {
    auto lease = pool.take(in(5s));
    auto pid = backend(*lease);
    servers.primary().sql("SELECT pg_terminate_backend(" + std::to_string(pid) + ")");
    CHECK_THROWS(backend(*lease));
    // libpqxx 6 would connect again here.
    CHECK_THROWS(backend(*lease));
  }
  CHECK(pool.counts().open == 0);
}

TEST_CASE_FIXTURE(one_pool, "a connection left inside a transaction, or spoiled, is closed") {
  {
    auto lease = pool.take(in(5s));
    pqxx::nontransaction raw{(*lease)->pqxx()};
    raw.exec("BEGIN");
  }
  CHECK(pool.counts().open == 0);
  {
    auto lease = pool.take(in(5s));
    lease->spoil();
  }
  CHECK(pool.counts().open == 0);
  { auto lease = pool.take(in(5s)); }
  CHECK(pool.counts().idle == 1);
  pool.drop_idle();
  CHECK(pool.counts().open == 0);
}

TEST_CASE_FIXTURE(one_pool, "a database that is down is said so quickly, with the reason") {
  servers.primary().stop();

  auto first = pool.take(in(5s));
  REQUIRE_FALSE(first);
  CHECK(first.error() == errc::database_unavailable);
  CHECK(fly::text_of(first.error()).find("refused") != std::string::npos);
  auto before = clock_type::now();
  for (int i = 0; i < 1000; ++i)
    CHECK(pool.take(in(5s)).error() == errc::database_unavailable);
  CHECK(clock_type::now() - before < 5s);

  servers.primary().start();
  CHECK(eventually([&] { return pool.take(in(5s)).engaged(); }));
}

namespace {

/// A server that takes one connection of the role, beside those of others.
struct full_server : one_pool {
  full_server() { room_for(1); }

  void room_for(int connections) {
    servers.primary().sql("ALTER ROLE app CONNECTION LIMIT " + std::to_string(connections));
  }

  /// Starts to take a second one, and returns when it waits.
  std::future<caf::error> second(std::chrono::milliseconds within = 10s) {
    auto result = std::async(std::launch::async, [this, within]() -> caf::error {
      auto lease = pool.take(in(within));
      if (!lease)
        return lease.error();
      CHECK(backend(*lease) > 0);
      return {};
    });
    REQUIRE(eventually([&] { return pool.counts().waiting == 1; }));
    return result;
  }
};

} // namespace

TEST_CASE_FIXTURE(full_server, "on a full server a caller waits for one that is lent") {
  std::optional first{std::move(*pool.take(in(5s)))};

  SUBCASE("which comes back") {
    auto waits = second();
    first.reset();
    CHECK_FALSE(waits.get());
  }
  SUBCASE("which is closed when it comes back") {
    auto waits = second();
    first->spoil();
    first.reset();
    CHECK_FALSE(waits.get());
  }
  SUBCASE("or until there is room for another") {
    auto waits = second();
    room_for(2);
    CHECK_FALSE(waits.get());
    CHECK(backend(*first) > 0);
  }
  SUBCASE("until its deadline, and is told why") {
    auto before = clock_type::now();
    auto told = second(600ms).get();
    CHECK(clock_type::now() - before >= 600ms);
    CHECK(told == errc::database_unavailable);
    CHECK(fly::details_of(told).at("sqlstate") == "53300");
    CHECK(fly::text_of(told).find("too many connections for role") != std::string::npos);
    CHECK(fly::text_of(told).find("own connections (1)") != std::string::npos);
  }
  CHECK(pool.counts().waiting == 0);
}

TEST_CASE_FIXTURE(full_server, "on a server that others have filled a caller is told so at once") {
  auto other = fly::repo::connection::open({.url = servers.primary().url()}, in(5s));
  REQUIRE(other);

  auto before = clock_type::now();
  auto told = pool.take(in(10s));

  CHECK(clock_type::now() - before < 5s);
  REQUIRE_FALSE(told);
  CHECK(told.error() == errc::database_unavailable);
  CHECK(fly::details_of(told.error()).at("sqlstate") == "53300");
}

TEST_CASE_FIXTURE(full_server, "on a full server many threads share what there is") {
  room_for(2);
  connection_pool wide{{.link = {.url = servers.primary().url()}, .connections_max = 16}};

  CHECK(leases_of_many_threads(wide) == 320);
  CHECK(wide.counts().open <= 2);
}

TEST_CASE_FIXTURE(one_pool, "a wrong role is said so without its password") {
  connection_pool wrong{{.link = {.url = "postgresql://nobody:secret@127.0.0.1:" +
                                         std::to_string(servers.primary().port()) + "/app"}}};

  auto lease = wrong.take(in(5s));

  REQUIRE_FALSE(lease);
  CHECK(lease.error() == errc::database_unavailable);
  CHECK(fly::text_of(lease.error()).find("nobody") != std::string::npos);
  CHECK(fly::text_of(lease.error()).find("secret") == std::string::npos);
}

TEST_CASE_FIXTURE(one_pool, "a server that is frozen costs a caller its deadline, and no more") {
  SUBCASE("before there is a connection") {
    servers.primary().freeze();
    auto before = clock_type::now();
    auto lease = pool.take(in(300ms));
    auto took = clock_type::now() - before;
    servers.primary().thaw();
    CHECK(lease.error() == errc::database_unavailable);
    CHECK(took < 2500ms); // of the 3 s that opening may take
  }
  SUBCASE("in the middle of a statement, which is cut when it is overdue") {
    auto longer = pool.take(in(1min));
    { auto opened = pool.take(in(1min)); }
    auto lease = pool.take(in(100ms), 500ms);
    REQUIRE(lease);
    servers.primary().freeze();
    std::atomic<bool> over = false;
    std::thread worker{[&] {
      CHECK_THROWS(backend(*lease));
      over = true;
    }};
    std::this_thread::sleep_for(300ms);
    CHECK_FALSE(over);
    bool ended = eventually([&] { return over.load(); }, 3s);
    servers.primary().thaw();
    worker.join();
    CHECK(ended);
    CHECK((*longer)->connected());
  }
}

TEST_CASE_FIXTURE(one_pool, "a caller who had no time to open a connection costs others nothing") {
  servers.primary().freeze();
  auto hasty = pool.take(in(50ms));
  servers.primary().thaw();
  REQUIRE_FALSE(hasty);

  auto patient = pool.take(in(20s));
  CHECK_MESSAGE(patient, (patient ? "" : fly::to_string(patient.error())));
}

TEST_CASE_FIXTURE(one_pool, "a pool that closes refuses those who wait and those who come") {
  auto first = pool.take(in(5s));
  auto second = pool.take(in(5s));
  std::thread waiting{[&] { CHECK(pool.take(in(10s)).error() == errc::shutting_down); }};
  REQUIRE(eventually([&] { return pool.counts().waiting == 1; }));

  pool.close();
  waiting.join();

  CHECK(pool.take(in(5s)).error() == errc::shutting_down);
  CHECK(backend(*first) > 0);
  { auto back = std::move(*first); }
  CHECK(pool.counts().open == 1);
}
