// Proves when an I/O thread polls instead of sleeping: after a batch alone, not beside a thread
// that wants the processor, and seldom where it was in vain.
#include "fly/cluster/polling.hpp"

#include <cstddef>

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using fly::cluster::polling;

namespace {

constexpr auto batch = polling::batch_frames_min;

/// A thread whose polls last 50 us, and its time.
struct poller {
  /// Comes with so many frames after `time`.
  void read(std::size_t frames, std::chrono::nanoseconds time = 1us) {
    now += time;
    what.on_read(frames, now);
  }

  /// Offers the processor, which somebody else has for `time`.
  void offer(std::chrono::nanoseconds time = 100ns) {
    auto offered = now;
    now += time;
    what.on_offer(offered, now);
  }

  /// Polls in vain; another thread wants the processor.
  void fail() {
    REQUIRE(what.is_on());
    offer(1ms);
    REQUIRE_FALSE(what.is_on());
  }

  /// Returns how many batches come until it polls, with that one.
  std::size_t batches_until_on() {
    std::size_t count = 0;
    for (; !what.is_on() && count < 10 * polling::left_out_max; ++count)
      read(batch);
    return count;
  }

  polling what{50us};
  polling::time_point now{1h};
};

} // namespace

TEST_CASE_FIXTURE(poller, "polling begins with a batch, and not with less") {
  CHECK_FALSE(what.is_on());
  read(0);
  read(1);
  read(batch - 1);
  CHECK_FALSE(what.is_on());

  read(batch);

  CHECK(what.is_on());
}

TEST_CASE_FIXTURE(poller, "polling ends so long after the last batch") {
  read(batch);
  offer(0ns);
  now += 49us;
  offer(0ns);
  CHECK(what.is_on());
  read(batch, 0us); // another one: from now on

  now += 49us;
  offer(0ns);
  CHECK(what.is_on());
  read(batch - 1, 0us); // no batch, no longer
  now += 1us;
  offer(0ns);

  CHECK_FALSE(what.is_on());
}

TEST_CASE_FIXTURE(poller, "polling ends at once where another thread takes the processor") {
  read(batch);
  offer(polling::offer_max);
  CHECK(what.is_on());

  offer(polling::offer_max + 1ns);

  CHECK_FALSE(what.is_on());
}

TEST_CASE_FIXTURE(poller, "each time in vain doubles the batches that are left out, to a bound") {
  read(batch);

  for (std::size_t left_out : {1, 3, 7, 15, 31, 63, 127, 255, 511, 1000, 1000}) {
    fail();
    CHECK_FALSE(what.is_tried());
    CHECK(batches_until_on() == left_out + 1);
    CHECK(what.is_tried());
  }
}

TEST_CASE_FIXTURE(poller, "what is found forgets the times in vain by and by") {
  read(batch);
  for (int i = 0; i < 4; ++i) {
    fail();
    batches_until_on();
  }
  fail(); // 31 left out
  batches_until_on();

  read(batch); // found, 15
  read(batch); // found, 7
  fail();

  CHECK(batches_until_on() == 16);
  for (int i = 0; i < 10; ++i)
    read(batch);
  fail();
  CHECK(batches_until_on() == 2);
}

TEST_CASE_FIXTURE(poller, "less than a batch is neither found nor left out") {
  read(batch);
  fail(); // 1 left out
  for (int i = 0; i < 100; ++i)
    read(batch - 1);

  CHECK(batches_until_on() == 2);
}

TEST_CASE_FIXTURE(poller, "it is tried from the start, while it is on, and when it is due again") {
  CHECK(what.is_tried());
  read(batch);
  CHECK(what.is_tried());
  fail();
  CHECK_FALSE(what.is_tried());
  read(batch); // left out
  CHECK(what.is_tried());
  CHECK_FALSE(what.is_on());
}

TEST_CASE("a time of 0 never polls") {
  polling never{0us};

  for (int i = 0; i < 10; ++i)
    never.on_read(1000, polling::time_point{1h});

  CHECK_FALSE(never.is_on());
  CHECK_FALSE(never.is_tried());
}
