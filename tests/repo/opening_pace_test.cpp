// Proves when a pool opens another connection: not for a while after a failure, and one caller at a
// time while the server is full; the others wait where one of the pool's own may come back.
#include "fly/repo/opening_pace.hpp"

#include <string>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"

using namespace std::chrono_literals;
using fly::errc;
using fly::make_error;
using fly::repo::opening_pace;
using step = opening_pace::step;

namespace {

constexpr opening_pace::time_point start{1h};

caf::error full() {
  return make_error(errc::database_unavailable, "too many clients", {{"sqlstate", "53300"}});
}

caf::error down() {
  return make_error(errc::database_unavailable, "connection refused");
}

/// The first pause lasts 50 to 100 ms.
opening_pace pace() {
  return opening_pace{{.first = 100ms, .max = 100ms}, 7};
}

} // namespace

TEST_CASE("connections are opened side by side until one fails") {
  auto it = pace();

  CHECK(it.next(start, 0) == step::open);
  CHECK(it.next(start, 1) == step::open);
  CHECK_FALSE(it.opened());
  CHECK(it.next(start, 2) == step::open);
}

TEST_CASE("a database that is down refuses at once, whatever is lent, until the pause is over") {
  auto it = pace();
  it.failed(start, down());

  CHECK(it.next(start + 49ms, 0) == step::refuse);
  CHECK(it.next(start + 49ms, 5) == step::refuse);
  CHECK(it.reason() == down());
  CHECK_FALSE(it.full());
  CHECK(it.next(start + 100ms, 5) == step::open);
  CHECK(it.next(start + 100ms, 5) == step::open);
}

TEST_CASE("an attempt that had little time refuses nobody who has more") {
  auto it = pace();
  it.failed(start, down(), 300ms);

  CHECK(it.next(start + 1ms, 1, 310ms) == step::refuse);
  CHECK(it.next(start + 1ms, 1, 400ms) == step::open);
  it.failed(start + 2ms, down(), 3s);
  CHECK(it.next(start + 3ms, 1, 3s) == step::refuse);
  it.failed(start + 4ms, down(), 300ms); // says no more than the one before
  CHECK(it.next(start + 5ms, 1, 3s) == step::refuse);
  it.opened();
  it.failed(start + 6ms, down(), 300ms);
  CHECK(it.next(start + 7ms, 1, 3s) == step::open);
  it.failed(start + 8ms, down()); // the server said so
  CHECK(it.next(start + 9ms, 1, 1h) == step::refuse);
}

TEST_CASE("a full server is waited for where something is lent, and refuses where nothing is") {
  auto it = pace();
  it.failed(start, full());

  CHECK(it.full());
  CHECK(it.next(start, 1) == step::wait);
  CHECK(it.wait_until() > start + 49ms);
  CHECK(it.wait_until() <= start + 100ms);
  CHECK(it.next(start, 0) == step::refuse);
  CHECK(fly::details_of(it.reason()).at("sqlstate") == "53300");
}

TEST_CASE("while the server is full one caller at a time tries") {
  auto it = pace();
  it.failed(start, full());
  auto later = it.wait_until();

  CHECK(it.next(later, 1) == step::open);
  CHECK(it.next(later, 2) == step::wait);
  CHECK(it.wait_until() == opening_pace::time_point::max());

  SUBCASE("and is the last for a while where it is still full") {
    it.failed(later, full());
    CHECK(it.next(later, 1) == step::wait);
    CHECK(it.wait_until() > later);
  }
  SUBCASE("and the others follow where it is not") {
    CHECK(it.opened());
    CHECK(it.next(later, 2) == step::open);
    CHECK(it.next(later, 3) == step::open);
    CHECK_FALSE(it.opened());
  }
  SUBCASE("and all are refused where the server went down meanwhile") {
    it.failed(later, down());
    CHECK(it.next(later, 1) == step::refuse);
  }
}

TEST_CASE("a connection of the pool's own that is closed makes room, at once or in a moment") {
  auto it = pace();
  it.failed(start, full());

  it.closed(start + 1ms);

  CHECK(it.next(start + 1ms, 0) == step::open);
  it.failed(start + 2ms, full()); // the server still counts the old session
  CHECK(it.next(start + 2ms, 0) == step::wait);
  auto end = start + 1ms + opening_pace::leaves_within;
  it.failed(end - 1ms, full());
  CHECK(it.next(end - 1ms, 0) == step::wait);
  CHECK(it.next(end, 0) == step::refuse);
}

TEST_CASE("a connection that is closed helps nobody while the database is down") {
  auto it = pace();
  it.failed(start, down());

  it.closed(start + 1ms);

  CHECK(it.next(start + 1ms, 0) == step::refuse);
}
