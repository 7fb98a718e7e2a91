// Proves OTP's supervision as a value: who is restarted, in which order, when the limit ends it.
#include "fly/actors/restart_plan.hpp"

#include <doctest/doctest.h>

#include "fly/actors/restart_window.hpp"

using namespace std::chrono_literals;
using fly::actors::restart;
using fly::actors::restart_plan;
using fly::actors::restart_window;
using fly::actors::strategy;
using command = restart_plan::command;
using kind = command::kind;

namespace {

const restart_plan::time_point t0{1000s};

/// Runs every due command as a shell would whose children start and stop at once; returns what was
/// done: "+a -b".
std::string run(restart_plan& plan, restart_plan::time_point now) {
  std::string log;
  while (auto next = plan.next(now)) {
    log += (log.empty() ? "" : " ");
    if (next->what == kind::start) {
      log += "+" + next->id;
      plan.started(next->id);
    } else {
      log += (next->what == kind::stop ? "-" : "!") + next->id;
      plan.ended(next->id, next->what == kind::kill, now);
    }
  }
  return log;
}

restart_plan make(strategy how, std::size_t restarts_max = 100, restart when = restart::permanent) {
  restart_plan plan{{.strategy = how, .restarts_max = restarts_max, .restarts_within = 5000ms}, 1};
  for (const char* id : {"a", "b", "c"})
    plan.add({.id = id, .start = {}, .restart = when});
  CHECK(run(plan, t0) == "+a +b +c");
  return plan;
}

} // namespace

TEST_CASE("one_for_one restarts the child that ended and no other") {
  auto plan = make(strategy::one_for_one);

  plan.ended("b", true, t0);

  CHECK(run(plan, t0) == "+b");
}

TEST_CASE("rest_for_one stops those behind in reverse order and starts them in order") {
  auto plan = make(strategy::rest_for_one);

  plan.ended("a", true, t0);

  CHECK(run(plan, t0) == "-c -b +a +b +c");
}

TEST_CASE("rest_for_one leaves those before alone") {
  auto plan = make(strategy::rest_for_one);

  plan.ended("b", true, t0);

  CHECK(run(plan, t0) == "-c +b +c");
}

TEST_CASE("one_for_all restarts all") {
  auto plan = make(strategy::one_for_all);

  plan.ended("b", true, t0);

  CHECK(run(plan, t0) == "-c -a +a +b +c");
}

TEST_CASE("a permanent child comes back after a normal end, a transient one does not") {
  auto permanent = make(strategy::one_for_one);
  auto transient = make(strategy::one_for_one, 100, restart::transient);

  permanent.ended("a", false, t0);
  transient.ended("a", false, t0);

  CHECK(run(permanent, t0) == "+a");
  CHECK(run(transient, t0).empty());
  CHECK(transient.knows("a"));
  CHECK(transient.start("a"));
  CHECK(run(transient, t0) == "+a");
  transient.ended("a", true, t0);
  CHECK(run(transient, t0) == "+a");
}

TEST_CASE("a temporary child is never restarted and is forgotten") {
  auto plan = make(strategy::one_for_all, 100, restart::temporary);

  plan.ended("b", true, t0);

  CHECK(run(plan, t0).empty());
  CHECK_FALSE(plan.knows("b"));
  CHECK(plan.children().size() == 2);
}

TEST_CASE("a temporary sibling is stopped with the others and stays away") {
  restart_plan plan{{.strategy = strategy::one_for_all}, 1};
  plan.add({.id = "a", .start = {}});
  plan.add({.id = "b", .start = {}, .restart = restart::temporary});
  run(plan, t0);

  plan.ended("a", true, t0);

  CHECK(run(plan, t0) == "-b +a");
  CHECK_FALSE(plan.knows("b"));
}

TEST_CASE("restarts beyond the limit end the plan in reverse order") {
  auto plan = make(strategy::one_for_one, 2);
  auto now = t0;
  for (int i = 0; i < 2; ++i) {
    plan.ended("a", true, now);
    now += 100ms;
    CHECK(run(plan, now) == "+a");
  }
  CHECK_FALSE(plan.gave_up());

  plan.ended("a", true, now);

  CHECK(plan.gave_up());
  CHECK(run(plan, now) == "-c -b");
  CHECK(plan.finished());
}

TEST_CASE("restarts that are far apart never end the plan") {
  auto plan = make(strategy::one_for_one, 1);
  auto now = t0;

  for (int i = 0; i < 50; ++i, now += 5001ms) {
    plan.ended("a", true, now);
    CHECK(run(plan, now) == "+a");
  }

  CHECK_FALSE(plan.gave_up());
}

TEST_CASE("no restart at all is a limit too") {
  auto plan = make(strategy::one_for_one, 0);

  plan.ended("c", true, t0);

  CHECK(plan.gave_up());
  CHECK(run(plan, t0) == "-b -a");
}

TEST_CASE("the first restart is immediate and the next ones wait") {
  auto plan = make(strategy::one_for_one);
  plan.ended("a", true, t0);
  CHECK(run(plan, t0) == "+a");

  plan.ended("a", true, t0 + 1ms);

  CHECK(run(plan, t0 + 1ms).empty());
  auto wake = plan.wake_at();
  REQUIRE(wake);
  CHECK(*wake > t0 + 1ms);
  CHECK(*wake <= t0 + 21ms);
  CHECK(run(plan, *wake) == "+a");
}

TEST_CASE("a start that fails counts and is tried again") {
  restart_plan plan{{.restarts_max = 1, .restarts_within = 5000ms}, 1};
  plan.add({.id = "a", .start = {}});
  CHECK(plan.next(t0) == command{kind::start, "a"});
  plan.start_failed("a", t0);
  CHECK(plan.next(t0) == command{kind::start, "a"});
  CHECK_FALSE(plan.gave_up());

  plan.start_failed("a", t0);

  CHECK(plan.gave_up());
  CHECK(plan.finished());
}

TEST_CASE("a child that does not end in its shutdown time is killed, then abandoned") {
  restart_plan plan{{}, 1};
  plan.add({.id = "a", .start = {}, .shutdown = 300ms});
  run(plan, t0);
  plan.end();

  CHECK(plan.next(t0) == command{kind::stop, "a"});
  CHECK_FALSE(plan.next(t0 + 299ms));
  CHECK(plan.wake_at() == t0 + 300ms);
  CHECK(plan.next(t0 + 300ms) == command{kind::kill, "a"});
  CHECK_FALSE(plan.finished());
  CHECK(plan.next(t0 + 300ms + restart_plan::kill_grace) == command{kind::abandon, "a"});
  CHECK(plan.finished());
}

TEST_CASE("a shutdown time of zero kills at once") {
  restart_plan plan{{}, 1};
  plan.add({.id = "a", .start = {}, .shutdown = 0ms});
  run(plan, t0);

  plan.end();

  CHECK(plan.next(t0) == command{kind::kill, "a"});
}

TEST_CASE("the next child is asked to stop only when the one behind it is down") {
  auto plan = make(strategy::one_for_one);
  plan.end();

  CHECK(plan.next(t0) == command{kind::stop, "c"});
  CHECK_FALSE(plan.next(t0));
  plan.ended("c", false, t0);
  CHECK(plan.next(t0) == command{kind::stop, "b"});
}

TEST_CASE("a stopped child stays down until it is started or forgotten") {
  auto plan = make(strategy::one_for_one);

  CHECK(plan.stop("b"));
  CHECK(run(plan, t0) == "-b");
  CHECK(plan.knows("b"));
  CHECK(plan.start("b"));
  CHECK(run(plan, t0) == "+b");
  CHECK_FALSE(plan.remove("b"));
  plan.stop("b");
  run(plan, t0);
  CHECK(plan.remove("b"));
  CHECK_FALSE(plan.knows("b"));
  CHECK_FALSE(plan.stop("b"));
  CHECK_FALSE(plan.start("b"));
  CHECK_FALSE(plan.remove("b"));
}

TEST_CASE("a child that is stopped while it starts is stopped once it runs, or stays down") {
  for (bool fails : {false, true}) {
    restart_plan plan{{}, 1};
    plan.add({.id = "a", .start = {}});
    REQUIRE(plan.next(t0) == command{kind::start, "a"});

    CHECK(plan.stop("a"));
    CHECK_FALSE(plan.start("a"));
    CHECK_FALSE(plan.remove("a"));
    fails ? plan.start_failed("a", t0) : plan.started("a");

    CHECK(run(plan, t0) == (fails ? "" : "-a"));
    CHECK(plan.remove("a"));
  }
}

TEST_CASE("restarts within an endless time end the plan") {
  restart_plan plan{{.restarts_max = 1, .restarts_within = std::chrono::milliseconds::max()}, 1};
  plan.add({.id = "a", .start = {}});
  run(plan, t0);

  for (auto at : {t0, t0 + 1h}) {
    plan.ended("a", true, at);
    run(plan, at + 10s);
  }

  CHECK(plan.gave_up());
}

TEST_CASE("an id is unique among its siblings") {
  auto plan = make(strategy::one_for_one);

  CHECK_FALSE(plan.add({.id = "a", .start = {}}));
}

TEST_CASE("the window counts what lies within its time, borders included") {
  restart_window window{2, 1000ms};

  CHECK(window.record(t0));
  CHECK(window.record(t0 + 1000ms));
  CHECK_FALSE(window.record(t0 + 1000ms));
  CHECK(window.count(t0 + 2000ms) == 2);
  CHECK(window.count(t0 + 2001ms) == 0);
  CHECK(window.record(t0 + 2001ms));
}
