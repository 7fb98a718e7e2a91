// Proves the bounds of the delays, that the seed alone decides them, and the start over.
#include "fly/actors/backoff.hpp"

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using fly::actors::backoff;

TEST_CASE("each delay lies between half of its bound and the bound") {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    backoff delays{{.first = 100ms, .max = 1000ms, .factor = 2.0}, seed};

    for (auto bound : {100, 200, 400, 800, 1000, 1000, 1000}) {
      auto delay = delays.next().count();
      CHECK(delay >= bound / 2);
      CHECK(delay <= bound);
    }
  }
}

TEST_CASE("the seed alone decides the delays") {
  backoff one{{}, 7};
  backoff same{{}, 7};
  backoff other{{}, 8};
  bool differs = false;

  for (int i = 0; i < 10; ++i) {
    auto delay = one.next();
    CHECK(delay == same.next());
    differs |= delay != other.next();
  }

  CHECK(differs);
}

TEST_CASE("a success starts over with the first bound") {
  backoff delays{{.first = 10ms, .max = 5000ms, .factor = 10.0}, 1};
  delays.next();
  delays.next();

  delays.reset();

  CHECK(delays.next() <= 10ms);
}

TEST_CASE("a first bound of one millisecond still waits") {
  backoff delays{{.first = 1ms, .max = 1ms, .factor = 1.0}, 1};

  CHECK(delays.next() == 1ms);
}
