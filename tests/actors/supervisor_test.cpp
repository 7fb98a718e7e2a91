// Proves the supervisor on real actors: order of start and stop, restart, giving up, nesting,
// hanging children.
#include "fly/actors/supervisor.hpp"

#include <atomic>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <thread>

#include <doctest/doctest.h>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/exit_reason.hpp>
#include <caf/send.hpp>

#include "fly/actors/error.hpp"
#include "tests/support/eventually.hpp"

using namespace std::chrono_literals;
using fly::errc;
using fly::actors::child_spec;
using fly::actors::restart;
using fly::actors::strategy;
using fly::actors::supervisor;
using fly::test::eventually;

namespace {

/// What happened, in order: "+a" started, "-a" ended.
struct journal {
  std::mutex mutex;
  std::string text;

  void add(const std::string& what) {
    std::lock_guard guard{mutex};
    text += (text.empty() ? "" : " ") + what;
  }
  std::string take() {
    std::lock_guard guard{mutex};
    return std::exchange(text, {});
  }
  std::string read() {
    std::lock_guard guard{mutex};
    return text;
  }
};

child_spec recorded(journal& log, const std::string& id, restart when = restart::permanent) {
  auto behave = [&log, id](caf::event_based_actor* self) -> caf::behavior {
    self->attach_functor([&log, id](const caf::error&) { log.add("-" + id); });
    return {[](caf::ok_atom) {}};
  };
  auto start = [&log, id, behave](caf::event_based_actor* parent) {
    log.add("+" + id);
    return parent->spawn(behave);
  };
  return {.id = id, .start = start, .restart = when};
}

caf::actor child_of(const supervisor& tree, const std::string& id) {
  for (const auto& it : tree.which_children())
    if (it.id == id)
      return it.handle;
  return {};
}

struct fixture {
  caf::actor_system_config config;
  caf::actor_system system{config};
  journal log;
};

} // namespace

TEST_CASE_FIXTURE(fixture, "children start in order and stop in reverse order") {
  {
    supervisor tree{system, {}, {recorded(log, "a"), recorded(log, "b"), recorded(log, "c")}};
    CHECK(tree.wait_started(5s));
    CHECK(tree.count_children().active == 3);
  }

  CHECK(log.take() == "+a +b +c -c -b -a");
}

TEST_CASE_FIXTURE(fixture, "a killed child is restarted, and under rest_for_one those behind it") {
  supervisor tree{system,
                  {.strategy = strategy::rest_for_one},
                  {recorded(log, "a"), recorded(log, "b"), recorded(log, "c")}};
  REQUIRE(tree.wait_started(5s));
  log.take();

  caf::anon_send_exit(child_of(tree, "b"), caf::exit_reason::kill);

  CHECK(eventually([&] { return log.read() == "-b -c +b +c"; }));
  CHECK(tree.which_children()[1].restarts == 1);
  CHECK(tree.running());
}

TEST_CASE_FIXTURE(fixture, "a supervisor whose children end too often stops all and says so") {
  supervisor tree{system, {.restarts_max = 1}, {recorded(log, "a"), recorded(log, "b")}};
  REQUIRE(tree.wait_started(5s));

  for (int i = 0; i < 2; ++i) {
    auto victim = child_of(tree, "b");
    caf::anon_send_exit(victim, caf::exit_reason::kill);
    eventually([&] { return child_of(tree, "b") != victim; });
    eventually([&] { return child_of(tree, "b") || !tree.running(); });
  }

  CHECK(eventually([&] { return !tree.running(); }));
  CHECK(tree.reason() == errc::restarts_exceeded);
  CHECK(tree.count_children().active == 0);
}

TEST_CASE_FIXTURE(fixture, "a child whose start throws is tried again") {
  std::atomic<int> starts = 0;
  auto inner = recorded(log, "a").start;
  child_spec spec{.id = "a", .start = [&](caf::event_based_actor* parent) {
                    if (++starts < 3)
                      throw std::runtime_error{"not yet"};
                    return inner(parent);
                  }};

  supervisor tree{system, {}, {spec}};

  CHECK(tree.wait_started(5s));
  CHECK(starts == 3);
}

TEST_CASE_FIXTURE(fixture, "children can be started, ended, restarted and forgotten later") {
  supervisor tree{system, {}, {recorded(log, "a")}};
  REQUIRE(tree.wait_started(5s));

  CHECK_FALSE(tree.start_child(recorded(log, "b")));
  CHECK(eventually([&] { return tree.count_children().active == 2; }));
  CHECK(tree.start_child(recorded(log, "b")) == errc::invalid_argument);
  CHECK_FALSE(tree.terminate_child("b"));
  CHECK(tree.count_children().active == 1);
  CHECK(tree.count_children().specs == 2);
  CHECK_FALSE(tree.restart_child("b"));
  CHECK(eventually([&] { return tree.count_children().active == 2; }));
  CHECK(tree.restart_child("b") == errc::invalid_argument);
  CHECK(tree.delete_child("b") == errc::invalid_argument);
  CHECK_FALSE(tree.terminate_child("b"));
  CHECK_FALSE(tree.delete_child("b"));
  CHECK(tree.count_children().specs == 1);
  CHECK(tree.terminate_child("b") == errc::invalid_argument);
}

TEST_CASE_FIXTURE(fixture, "a child that is stopped while it starts is down afterwards") {
  std::atomic<bool> starts{false};
  auto slow = recorded(log, "slow");
  slow.start = [&, start = slow.start](caf::event_based_actor* parent) {
    starts = true;
    std::this_thread::sleep_for(50ms);
    return start(parent);
  };
  supervisor tree{system, {}, {slow}};
  REQUIRE(eventually([&] { return starts.load(); }));

  CHECK_FALSE(tree.terminate_child("slow"));

  CHECK(tree.count_children().active == 0);
  CHECK(log.take() == "+slow -slow");
  CHECK_FALSE(tree.delete_child("slow"));
}

TEST_CASE_FIXTURE(fixture, "a supervisor that has ended starts nobody, and says so") {
  supervisor tree{system, {}, {recorded(log, "a")}};
  REQUIRE(tree.wait_started(5s));
  tree.stop();

  CHECK(tree.start_child(recorded(log, "b")) == errc::shutting_down);
  CHECK(tree.restart_child("a") == errc::shutting_down);
  CHECK(log.take() == "+a -a");
}

TEST_CASE_FIXTURE(fixture, "bounds that make no sense are brought inside") {
  for (auto within : {-1ms, 0ms, std::chrono::milliseconds::max()}) {
    std::atomic<int> tries{0};
    child_spec broken{.id = "broken", .start = [&](caf::event_based_actor*) -> caf::actor {
                        ++tries;
                        return {};
                      }};
    supervisor tree{system,
                    {.restarts_max = 0,
                     .restarts_within = within,
                     .delay = {.first = 0ms, .max = -1ms, .factor = 0}},
                    {broken}};

    CHECK(eventually([&] { return !tree.running(); }));
    CHECK(tries == 1);
  }
}

TEST_CASE_FIXTURE(fixture, "a temporary child that ends is forgotten, a permanent one comes back") {
  supervisor tree{system, {}, {recorded(log, "a", restart::temporary), recorded(log, "b")}};
  REQUIRE(tree.wait_started(5s));

  caf::anon_send_exit(child_of(tree, "a"), caf::exit_reason::kill);

  CHECK(eventually([&] { return tree.count_children().specs == 1; }));
  CHECK(child_of(tree, "b"));
}

TEST_CASE_FIXTURE(fixture, "a nested supervisor that gives up is restarted by its parent") {
  auto nested = fly::actors::nested_supervisor("inner", {.restarts_max = 0}, {recorded(log, "x")});
  supervisor tree{system, {}, {nested, recorded(log, "b")}};
  REQUIRE(eventually([&] { return log.read().find("+x") != std::string::npos; }));
  REQUIRE(tree.wait_started(5s));
  log.take();

  caf::anon_send_exit(child_of(tree, "inner"), caf::exit_reason::kill);

  CHECK(eventually([&] { return log.read() == "-x +x" || log.read() == "+x -x"; }));
  CHECK(tree.which_children()[0].restarts == 1);
}

TEST_CASE_FIXTURE(fixture, "a child that hangs is given up after its shutdown time") {
  std::atomic<bool> release = false;
  auto hang = [&release](caf::event_based_actor*) -> caf::behavior {
    return {[&release](caf::ok_atom) {
      while (!release)
        std::this_thread::yield();
    }};
  };
  child_spec spec{
      .id = "a",
      .start = [&](auto* parent) { return parent->template spawn<caf::detached>(hang); },
      .shutdown = 10ms};
  auto began = std::chrono::steady_clock::now();
  {
    supervisor tree{system, {}, {spec}};
    REQUIRE(tree.wait_started(5s));
    caf::anon_send(child_of(tree, "a"), caf::ok_atom::value);
  }
  release = true;

  CHECK(std::chrono::steady_clock::now() - began < 10s);
}

TEST_CASE_FIXTURE(fixture, "a killed supervisor leaves no child behind") {
  supervisor tree{system, {}, {recorded(log, "a"), recorded(log, "b")}};
  REQUIRE(tree.wait_started(5s));
  log.take();

  caf::anon_send_exit(tree.handle(), caf::exit_reason::kill);

  CHECK(eventually([&] { return log.read().size() == 5; }));
  CHECK_FALSE(tree.running());
}

TEST_CASE_FIXTURE(fixture, "a specification without an id or a start is refused by name") {
  supervisor tree{system, {}, {}};

  CHECK(tree.start_child({.id = "", .start = recorded(log, "a").start}) == errc::invalid_argument);
  CHECK(tree.start_child({.id = "a", .start = {}}) == errc::invalid_argument);
}

TEST_CASE_FIXTURE(fixture, "a child that was left out is told") {
  supervisor tree{system, {}, {recorded(log, "a"), recorded(log, "a")}};
  CHECK_FALSE(tree.wait_started(1s));
  CHECK(tree.running());
  CHECK(tree.reason() == errc::invalid_argument);
  CHECK(fly::text_of(tree.reason()).find("'a'") != std::string::npos);
}
