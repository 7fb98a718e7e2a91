// Proves when a member is left alone, and for how long.
#include "fly/rpc/health.hpp"

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using fly::rpc::health;

namespace {
constexpr health::time_point now{1h};
}

TEST_CASE("three calls in a row without an answer let a member rest for a second") {
  health it;
  it.failed(now);
  it.failed(now);
  CHECK_FALSE(it.rests(now));
  it.failed(now);
  CHECK(it.rests(now));
  CHECK(it.rests(now + 999ms));
  CHECK_FALSE(it.rests(now + 1s));
}

TEST_CASE("an answer between them starts the count over") {
  health it;
  for (int i = 0; i < 100; ++i) {
    it.failed(now);
    it.failed(now);
    it.answered();
  }
  CHECK_FALSE(it.rests(now));
}

TEST_CASE("each further failure doubles the rest, up to its bound") {
  health it;
  it.failed(now);
  it.failed(now);
  auto at = now;
  for (auto rest : {1s, 2s, 4s, 8s, 16s, 30s, 30s}) {
    it.failed(at);
    CHECK(it.rests(at + rest - 1ms));
    CHECK_FALSE(it.rests(at + rest));
    at += rest;
  }
}

TEST_CASE("a full member rests for as long as it says, and no longer than the bound") {
  health it;
  it.full(now, -1s);
  CHECK_FALSE(it.rests(now));
  it.full(now, 20ms);
  CHECK(it.rests(now + 19ms));
  CHECK_FALSE(it.rests(now + 20ms));
  it.full(now, 1h);
  CHECK(it.rests(now + 29s));
  CHECK_FALSE(it.rests(now + health::rest_max));
  it.full(now, 1ms); // a shorter one takes nothing back
  CHECK(it.rests(now + 29s));
}
