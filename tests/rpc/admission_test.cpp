// Proves how many calls of a function run and wait, and what those hear that find no place.
#include "fly/rpc/admission.hpp"

#include <atomic>
#include <future>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/actors/worker_pool.hpp"
#include "tests/support/eventually.hpp"

using namespace fly;
using namespace fly::rpc;
using namespace fly::test;
using namespace std::chrono_literals;
using verdict = admission::verdict;

TEST_CASE("as many run as may, as many wait as may, and one more is refused") {
  admission it{2, 1};
  CHECK(it.arrive() == verdict::run);
  CHECK(it.arrive() == verdict::run);
  CHECK(it.arrive() == verdict::wait);
  CHECK(it.arrive() == verdict::refuse);

  CHECK(it.leave(1ms)); // the one that waits has the place
  CHECK(it.running() == 2);
  CHECK(it.waiting() == 0);
  CHECK_FALSE(it.leave(1ms));
  CHECK_FALSE(it.leave(1ms));
  CHECK(it.running() == 0);
  CHECK(it.arrive() == verdict::run);
}

TEST_CASE("without a queue nobody waits, and at least one runs") {
  admission it{0, 0};
  CHECK(it.arrive() == verdict::run);
  CHECK(it.arrive() == verdict::refuse);
}

TEST_CASE("the hint grows with what calls take and with those that wait, within its bounds") {
  admission it{2, 10};
  CHECK(it.retry_after() == 1ms); // nothing is known
  it.arrive();
  it.leave(100ms);
  CHECK(it.retry_after() == 50ms);
  for (int i = 0; i < 5; ++i)
    it.arrive();
  CHECK(it.retry_after() == 200ms); // three wait

  admission slow{1, 1};
  slow.arrive();
  slow.leave(std::chrono::hours{24 * 365});
  CHECK(slow.retry_after() == retry_after_max);
}

TEST_CASE("the hint does not count what was dropped, and who gives up waits no more") {
  admission it{1, 1};
  it.arrive();
  it.leave(100ms);
  it.arrive();
  it.leave(std::nullopt);
  CHECK(it.retry_after() == 100ms);
  it.arrive();
  it.arrive();
  CHECK(it.arrive() == verdict::refuse);

  it.abandon();

  CHECK(it.waiting() == 0);
  CHECK(it.arrive() == verdict::wait);
}

TEST_CASE("a hint is read within its bounds, and where there is none it is the usual one") {
  CHECK(retry_after_of(no_place("full", 70ms)) == 70ms);
  CHECK(retry_after_of(no_place("full", 24h)) == retry_after_max);
  CHECK(retry_after_of(no_place("full", -1ms)) == 1ms);
  CHECK(retry_after_of(make_error(errc::overloaded, "full")) == retry_after_default);
  CHECK(retry_after_of(make_error(errc::overloaded, "", {{retry_after_detail, "soon"}})) == 1ms);
}

namespace {

struct bench {
  actors::worker_pool workers{{.threads = 4, .queue_max = 8, .name = "test"}};
  std::shared_ptr<function_gate> gate = std::make_shared<function_gate>(2, 3);
  std::promise<void> release;
  std::shared_future<void> released{release.get_future()};
  std::atomic<int> running{0};
  std::atomic<int> most{0};
  std::atomic<int> ran{0};
  std::atomic<int> refused{0};
  bool done = false;

  ~bench() {
    let_go();
    workers.stop();
  }

  void let_go() {
    if (!std::exchange(done, true))
      release.set_value();
  }

  void enter() {
    gate->enter(workers, {[this] {
                            most = std::max<int>(most, ++running);
                            released.wait();
                            --running;
                            ++ran;
                            return true;
                          },
                          [this](const caf::error& reason) {
                            CHECK(reason == errc::overloaded);
                            ++refused;
                          }});
  }
};

} // namespace

TEST_CASE("the gate lets two run, keeps three, refuses the rest, and runs all that it has taken") {
  bench it;
  for (int i = 0; i < 10; ++i)
    it.enter();
  REQUIRE(eventually([&] { return it.running == 2; }));
  CHECK(it.refused == 5);

  it.let_go();

  REQUIRE(eventually([&] { return it.ran == 5; }));
  CHECK(it.most == 2);
  CHECK(it.refused == 5);
  it.enter(); // the places are free again
  CHECK(eventually([&] { return it.ran == 6; }));
}

TEST_CASE("where the pool itself has stopped the gate refuses and keeps no place") {
  actors::worker_pool workers{{.threads = 1, .queue_max = 1, .name = "test"}};
  workers.stop();
  auto gate = std::make_shared<function_gate>(1, 1);
  int refused = 0;
  for (int i = 0; i < 3; ++i)
    gate->enter(workers, {[] {
                            FAIL("it ran");
                            return true;
                          },
                          [&](const caf::error& reason) {
                            CHECK(reason == errc::shutting_down);
                            ++refused;
                          }});
  CHECK(refused == 3);
}

namespace {

/// One worker, a gate that lets one call run, and what has run, in its order.
struct line {
  actors::worker_pool workers{{.threads = 1, .queue_max = 2, .name = "test"}};
  std::shared_ptr<function_gate> gate = std::make_shared<function_gate>(1, 2);
  std::promise<void> release;
  std::atomic<bool> begun{false};
  std::string ran; // by the worker alone until it has stopped
  std::string refused;

  /// Occupies the worker, and the gate's one place.
  line() {
    gate->enter(workers, {[this] {
                            begun = true;
                            release.get_future().wait();
                            return true;
                          },
                          nullptr});
    REQUIRE(eventually([&] { return begun.load(); }));
  }

  void enter(char which, const void* who = nullptr) {
    gate->enter(workers, {[this, which] { return ran += which, true; },
                          [this, which](const caf::error&) { refused += which; }, who});
  }

  void submit(char which) {
    CHECK_FALSE(workers.submit([this, which] { ran += which; }));
  }

  void finish() {
    release.set_value();
    workers.stop();
  }
};

} // namespace

TEST_CASE(
    "the calls of a bounded function let others have their turn, also where the pool is full") {
  line it;
  it.enter('a');
  it.enter('b');
  it.submit('x');
  it.submit('y');

  it.finish();

  CHECK(it.ran == "xyab");
  CHECK(it.refused.empty());
}

TEST_CASE("who is withdrawn frees its place, in the gate and in the pool") {
  line it;
  int a = 0;
  int b = 0;
  it.enter('a', &a);
  it.enter('b', &b);
  it.enter('c');
  CHECK(it.refused == "c");

  CHECK(it.gate->withdraw(it.workers, &a));
  CHECK_FALSE(it.gate->withdraw(it.workers, &a));
  it.enter('d');

  CHECK(it.refused == "c");
  it.finish();
  CHECK(it.ran == "bd");
}

TEST_CASE("where one is withdrawn that has a place, the next one has it") {
  line it;
  auto other = std::make_shared<function_gate>(1, 1);
  int first = 0;
  auto enter = [&](char which, const void* who) {
    other->enter(it.workers, {[&it, which] { return it.ran += which, true; }, nullptr, who});
  };
  enter('a', &first);
  enter('b', nullptr);

  CHECK(other->withdraw(it.workers, &first));

  it.finish();
  CHECK(it.ran == "b");
}
