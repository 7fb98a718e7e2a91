// Proves that held writes are not let in, that a hold ends by itself, and that it is known when
// none runs any more.
#include "fly/repo/write_gate.hpp"

#include <thread>

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using fly::repo::write_gate;

TEST_CASE("held writes are not let in, until the hold ends") {
  write_gate gate;
  CHECK(gate.enter());
  CHECK_FALSE(gate.held());
  gate.hold(write_gate::clock::now() + 1h);
  CHECK(gate.held());
  CHECK_FALSE(gate.enter());
  gate.hold(write_gate::clock::now());
  CHECK(gate.enter());
  gate.hold(write_gate::clock::now() + 30ms);
  CHECK_FALSE(gate.enter());
  std::this_thread::sleep_for(40ms); // nobody says so: who asked for it may be gone
  CHECK(gate.enter());
}

TEST_CASE("who holds writes waits for those that run, and no longer than said") {
  write_gate gate;
  auto running = gate.enter();
  REQUIRE(running);
  gate.hold(write_gate::clock::now() + 1h);
  CHECK_FALSE(gate.wait_empty(write_gate::clock::now() + 20ms));
  std::thread end{[&] {
    std::this_thread::sleep_for(20ms);
    auto last = std::move(*running); // a pass that was moved counts once
  }};
  CHECK(gate.wait_empty(write_gate::clock::now() + 10s));
  end.join();
}
