// Proves that a gate lets nobody through before it is open, and everybody then.
#include "fly/actors/gate.hpp"

#include <thread>
#include <vector>

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using fly::actors::gate;
using clock_type = std::chrono::steady_clock;

TEST_CASE("a gate that is open lets through at once") {
  gate it;
  CHECK_FALSE(it.is_open());
  it.open();
  it.open();

  CHECK(it.is_open());
  CHECK(it.wait_until(clock_type::time_point::min()));
  it.wait();
}

TEST_CASE("who waits for a shut gate gives up at the deadline and not before") {
  gate it;
  auto begun = clock_type::now();

  CHECK_FALSE(it.wait_until(begun + 5ms));
  CHECK(clock_type::now() >= begun + 5ms);
  CHECK_FALSE(it.wait_until(begun));
}

TEST_CASE("all that wait go on when it opens, and see what was written before") {
  for (int round = 0; round < 200; ++round) {
    gate it;
    int value = 0;
    std::vector<std::thread> waiting;
    for (int i = 0; i < 3; ++i)
      waiting.emplace_back([&it, &value, i] {
        if (i == 0)
          it.wait();
        else
          CHECK(it.wait_until(clock_type::now() + 1min));
        CHECK(value == 7);
      });
    if (round % 2 == 0)
      std::this_thread::yield();
    value = 7;
    it.open();
    for (auto& each : waiting)
      each.join();
  }
}
