// Proves that CAF's I/O loop does not sleep while it is polled, that it sleeps again, and that
// nothing is left in it at the end.
#include "fly/cluster/busy_poll.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/io/network/default_multiplexer.hpp>
#include <doctest/doctest.h>

using namespace std::chrono_literals;
using fly::cluster::busy_poll;
using fly::cluster::polling;

namespace {

constexpr auto batch = polling::batch_frames_min;

/// A loop that this thread drives.
struct driven_loop {
  driven_loop() { loop.handle_internal_events(); }
  ~driven_loop() { turn(); } // forgets what a case has ended

  /// Takes a turn without sleeping. Returns whether the loop would not have slept.
  bool turn() { return loop.try_run_once(); }

  caf::actor_system_config config;
  caf::actor_system system{config};
  caf::io::network::default_multiplexer loop{&system};
};

} // namespace

TEST_CASE_FIXTURE(driven_loop, "the loop does not sleep after a batch, and sleeps again in time") {
  busy_poll what{loop, 200us};
  loop.handle_internal_events();
  CHECK_FALSE(turn());
  what.on_read(batch - 1);
  CHECK_FALSE(turn());

  what.on_read(batch);

  CHECK(what.is_tried());
  CHECK(turn());
  auto late = std::chrono::steady_clock::now() + 10s;
  while (turn() && std::chrono::steady_clock::now() < late) {
  }
  CHECK_FALSE(turn());
  CHECK_FALSE(what.is_tried()); // it was in vain
  what.on_read(batch);
  CHECK_FALSE(turn()); // left out
  what.on_read(batch);
  CHECK(turn());
}

TEST_CASE_FIXTURE(driven_loop, "an end while the loop is polled lets it sleep and leaves nothing") {
  auto before = loop.num_socket_handlers();
  {
    busy_poll what{loop, 1s};
    loop.handle_internal_events();
    CHECK(loop.num_socket_handlers() == before + 1);
    what.on_read(batch);
  }

  CHECK(turn()); // its last: after the end, and before the loop has forgotten it
  CHECK(loop.num_socket_handlers() == before);
  CHECK_FALSE(turn());
}

TEST_CASE_FIXTURE(driven_loop, "a time of 0 is never polled for, and puts nothing into the loop") {
  auto before = loop.num_socket_handlers();
  busy_poll what{loop, 0us};
  loop.handle_internal_events();

  what.on_read(1000);

  CHECK_FALSE(what.is_tried());
  CHECK_FALSE(turn());
  CHECK(loop.num_socket_handlers() == before);
}
