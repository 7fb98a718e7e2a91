// Proves that the table of open requests is bounded, and that old requests make room for new ones
// and for nothing else.
#include "fly/rpc/request_table.hpp"

#include <doctest/doctest.h>

using namespace fly;
using namespace std::chrono_literals;

namespace {

using table = rpc::request_table<std::uint64_t>;
const table::time_point start{};

void fill(table& full, table::time_point when) {
  std::vector<std::uint64_t> expired;
  for (std::uint64_t i = 1; i <= table::requests_max; ++i)
    REQUIRE_FALSE(full.add(i, i, when, expired));
  REQUIRE(expired.empty());
}

} // namespace

TEST_CASE("a request is taken out once") {
  table open;
  std::vector<std::uint64_t> expired;
  CHECK_FALSE(open.add(5, 50, start, expired));

  CHECK_FALSE(open.take(4));
  CHECK(open.take(5) == 50);
  CHECK_FALSE(open.take(5));
  CHECK(open.size() == 0);
}

TEST_CASE("one request more than the table takes is refused") {
  table open;
  fill(open, start);
  std::vector<std::uint64_t> expired;

  auto refused = open.add(table::requests_max + 1, 0, start + table::patience - 1ms, expired);

  CHECK(refused == errc::overloaded);
  CHECK(expired.empty());
  CHECK(open.size() == table::requests_max);
  CHECK(open.take(1) == 1);
  CHECK_FALSE(open.add(table::requests_max + 1, 0, start, expired));
}

TEST_CASE("requests of long ago make room in a full table") {
  table open;
  fill(open, start);
  std::vector<std::uint64_t> expired;

  CHECK_FALSE(open.add(table::requests_max + 1, 7, start + table::patience, expired));

  CHECK(expired.size() == table::requests_max);
  CHECK(open.size() == 1);
  CHECK(open.drain() == std::vector<std::uint64_t>{7});
  CHECK(open.size() == 0);
}

TEST_CASE("requests of long ago stay while there is room") {
  table open;
  std::vector<std::uint64_t> expired;
  CHECK_FALSE(open.add(1, 1, start, expired));
  CHECK_FALSE(open.add(2, 2, start + 24h, expired));
  CHECK(expired.empty());
  CHECK(open.size() == 2);
}
