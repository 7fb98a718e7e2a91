// How long writes did not succeed around a fault.
#include <doctest/doctest.h>

#include "fly/testing/outage.hpp"
#include "tests/testing/story.hpp"

using namespace fly::testing;
using namespace std::chrono_literals;

namespace {

/// Writes of two processes, a gap of 500 ms in those of the first one during the fault.
story told(const std::string& target) {
  story it;
  auto writes = [&](int count) {
    for (int i = 0; i < count; ++i) {
      it.write("x", {.process = "lax-1/1"});
      it.write("y", {.process = "syd-1/1"}).wait(8ms);
    }
  };
  writes(5);
  it.fault(phase::invoke, "kill-node", target);
  writes(5);
  it.wait(500ms);
  writes(5);
  it.fault(phase::ok, "kill-node", target);
  writes(200);
  return it;
}

} // namespace

TEST_CASE("an outage is the longest time without a write of the processes that are not hurt") {
  auto all = write_outages(told("ams-1").events(), 1s);

  REQUIRE(all["kill-node"].size() == 1);
  CHECK(all["kill-node"][0] >= 500ms);
  CHECK(all["kill-node"][0] <= 520ms);
}

TEST_CASE("what the next fault does is not of the one before") {
  auto it = told("ams-1");
  auto next = it;
  next.fault(phase::invoke, "cut-both-ways", "ams").wait(700ms);
  next.write("x", {.process = "lax-1/1"}).fault(phase::ok, "cut-both-ways", "ams");
  for (int i = 0; i < 300; ++i)
    next.write("x", {.process = "lax-1/1"}).wait(8ms);

  auto all = write_outages(next.events(), 2500ms);
  REQUIRE(all["kill-node"].size() + all["cut-both-ways"].size() == 2);

  CHECK(all["kill-node"][0] <= 520ms);
  CHECK(all["cut-both-ways"][0] >= 700ms);
}

TEST_CASE("a fault of which nobody lived to tell is left out") {
  story it;
  it.write("x").fault(phase::invoke, "kill-node", "b").fault(phase::ok, "kill-node", "b");

  CHECK(write_outages(it.events(), 1s).empty());
}

TEST_CASE("percentiles are values that were there") {
  outages all;
  for (int i = 1; i <= 20; ++i)
    all.emplace_back(i * 1000);

  CHECK(percentile(all, 50) == 10ms);
  CHECK(percentile(all, 95) == 19ms);
  CHECK(percentile(all, 100) == 20ms);
  CHECK(percentile({}, 50) == 0ms);
  CHECK(to_text(all) == "20  p50 10 ms  p95 19 ms  max 20 ms  | <10ms:9 <100ms:11 <1s:0 <5s:0 "
                        ">=5s:0");
}
