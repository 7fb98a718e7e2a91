// Proves that a function which waits in vain for a connection, because calls within its own
// transaction took them all, is told so; and that who only finds them taken is not.
#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <string>

#include <doctest/doctest.h>

#include <pqxx/pqxx>

#include "fly/repo/database.hpp"
#include "fly/repo/local_database.hpp"
#include "tests/rpc/shops.hpp"
#include "tests/support/postgres.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;

namespace {

constexpr repo::write<std::int32_t(std::int32_t)> dig{"shop.dig"};

bool has_hint(const caf::error& reason) {
  return text_of(reason).find("this one waited within a transaction") != std::string::npos;
}

repo::options two_connections(const std::string& url) {
  repo::options result;
  result.database_url = url;
  result.connections_max = 2;
  return result;
}

} // namespace

TEST_CASE("a write that writes again, level by level, is told that it took the connections") {
  postgres servers;
  cluster::node node{shop_options("syd")};
  rpc::endpoint endpoint{node};
  repo::database db{endpoint, two_connections(servers.primary().url())};
  caf::error of_others;
  auto reads = [&] {
    return db.with({.timeout = 400ms}).read([](auto& tx) { tx.exec("SELECT 1"); });
  };
  db.serve(dig, [&](pqxx::transaction_base&, std::int32_t levels) -> caf::expected<std::int32_t> {
    if (levels == 0)
      return 0;
    if (levels == 1 && !reads()) // another thread has no part in it
      of_others = std::async(std::launch::async, reads).get().error();
    auto below = rpc_primary(db.with({.timeout = 2000ms}), dig, levels - 1);
    if (!below)
      return below.error();
    return **below + 1;
  });
  REQUIRE_FALSE(node.join());

  auto two = rpc_primary(db, dig, 1);
  REQUIRE_MESSAGE(two, fly::to_string(two.error()));
  CHECK(**two == 1);
  auto three = rpc_primary(db, dig, 2);

  REQUIRE_FALSE(three);
  CHECK(three.error() == errc::overloaded);
  CHECK(has_hint(three.error()));
  CHECK(of_others == errc::overloaded);
  CHECK_FALSE(has_hint(of_others));
}

TEST_CASE("a read within reads is told the same, in its own thread") {
  postgres servers;
  repo::local_database db{servers.primary().url(), 2s};
  std::function<caf::error(int)> nest = [&](int levels) {
    if (levels == 0)
      return caf::error{};
    auto outcome = db.read([&](pqxx::transaction_base&) { return nest(levels - 1); });
    return outcome ? caf::error{} : outcome.error();
  };

  auto outcome = nest(1000); // there are not so many connections

  CHECK(outcome == errc::overloaded);
  CHECK(has_hint(outcome));
}
