// Proves the two ways to await an answer: a plain thread parks, an actor goes on; each hears
// exactly once.
#include "fly/actors/pending.hpp"

#include <atomic>
#include <future>
#include <thread>

#include <doctest/doctest.h>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/behavior.hpp>
#include <caf/blocking_actor.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scheduler/test_coordinator.hpp>

#include "fly/actors/error.hpp"

using namespace std::chrono_literals;
using fly::errc;
using fly::actors::ask;
using fly::actors::completion;
using fly::actors::expire;
using fly::actors::pending;
using fly::actors::starter;

namespace {

std::chrono::steady_clock::time_point in(std::chrono::milliseconds delay) {
  return std::chrono::steady_clock::now() + delay;
}

/// Never completes by itself; at its deadline it says so.
starter<int> silent() {
  return [](completion<int> done) -> expire {
    return [done] { done(fly::make_error(errc::timeout, "silent")); };
  };
}

struct guarded_system {
  guarded_system() { fly::actors::install_blocking_guard(config); }
  caf::actor_system_config config;
};

} // namespace

TEST_CASE("a plain thread gets the answer of another thread") {
  std::thread other;
  auto answer = ask<int>(in(5s), [&](completion<int> done) -> expire {
    other = std::thread{[done] { done(42); }};
    return [] {};
  });
  other.join();

  REQUIRE(answer);
  CHECK(*answer == 42);
}

TEST_CASE("a plain thread gets what is known at the deadline") {
  auto answer = ask<int>(in(20ms), silent());

  REQUIRE_FALSE(answer);
  CHECK(answer.error() == errc::timeout);
}

TEST_CASE("an outcome that somebody keeps past the end is a timeout, and not waited for for ever") {
  completion<int> kept;
  auto answer = ask<int>(in(20ms), [&](completion<int> done) -> expire {
    kept = done;
    return [] {};
  });

  CHECK(answer == fly::make_error(errc::timeout));
  kept(1); // nobody is there any more
}

TEST_CASE("only the first completion counts") {
  auto answer = ask<int>(in(5s), [](completion<int> done) -> expire {
    done(1);
    done(2);
    return [] {};
  });

  CHECK(*answer == 1);
}

TEST_CASE_FIXTURE(guarded_system, "a blocking call on a scheduler thread is refused, nothing ran") {
  caf::actor_system system{config};
  std::promise<caf::error> heard;
  std::atomic<bool> started = false;
  auto call = [&](caf::local_actor*) {
    auto answer = ask<int>(in(5s), [&](completion<int> done) -> expire {
      started = true;
      done(1);
      return [] {};
    });
    heard.set_value(answer ? caf::error{} : answer.error());
  };

  SUBCASE("an event-based actor shares its thread") {
    system.spawn([&](caf::event_based_actor* self) { call(self); });
    CHECK(heard.get_future().get() == errc::blocking_refused);
    CHECK_FALSE(started);
  }
  SUBCASE("a detached actor may block") {
    system.spawn<caf::detached>([&](caf::event_based_actor* self) { call(self); });
    CHECK_FALSE(heard.get_future().get());
  }
  SUBCASE("a blocking actor may block") {
    system.spawn([&](caf::blocking_actor* self) { call(self); });
    CHECK_FALSE(heard.get_future().get());
  }
}

TEST_CASE("an actor gets the answer in its own thread of control") {
  caf::actor_system_config config;
  caf::actor_system system{config};
  std::promise<int> heard;
  std::thread other;

  system.spawn([&](caf::event_based_actor* self) {
    pending<int>{self, in(5s),
                 [&](completion<int> done) -> expire {
                   other = std::thread{[done] { done(42); }};
                   return [] {};
                 }}
        .then([&](int& value) { heard.set_value(value); },
              [&](caf::error&) { heard.set_value(-1); });
  });

  CHECK(heard.get_future().get() == 42);
  other.join();
}

TEST_CASE("an actor gets an answer that was there before it asked") {
  caf::actor_system_config config;
  caf::actor_system system{config};
  std::promise<int> heard;

  system.spawn([&](caf::event_based_actor* self) {
    pending<int>{self, in(5s),
                 [](completion<int> done) -> expire {
                   done(7);
                   return [] {};
                 }}
        .then([&](int& value) { heard.set_value(value); },
              [&](caf::error&) { heard.set_value(-1); });
  });

  CHECK(heard.get_future().get() == 7);
}

TEST_CASE("who waits for no more than an end may take it or take nothing") {
  caf::actor_system_config config;
  caf::actor_system system{config};
  std::promise<void> taken;
  std::promise<void> bare;
  auto at_once = [](completion<caf::unit_t> done) -> expire {
    done(caf::unit);
    return [] {};
  };

  system.spawn([&](caf::event_based_actor* self) {
    pending<caf::unit_t>{self, in(5s), at_once}.then([&](const caf::unit_t&) { taken.set_value(); },
                                                     [](caf::error&) {});
    pending<caf::unit_t>{self, in(5s), at_once}.then([&] { bare.set_value(); }, [](caf::error&) {});
  });

  CHECK(taken.get_future().wait_for(5s) == std::future_status::ready);
  CHECK(bare.get_future().wait_for(5s) == std::future_status::ready);
}

TEST_CASE("an actor gets what is known at the deadline, in virtual time") {
  caf::actor_system_config config;
  config.set("scheduler.policy", caf::atom("testing"));
  caf::actor_system system{config};
  auto& scheduler = dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  int heard = 0;
  caf::error reason;

  system.spawn([&](caf::event_based_actor* self) {
    pending<int>{self, in(3s), silent()}.then([&](int&) { heard = 1; },
                                              [&](caf::error& why) {
                                                heard = 2;
                                                reason = why;
                                              });
  });
  scheduler.run();
  scheduler.advance_time(2s);
  scheduler.run();
  CHECK(heard == 0);
  scheduler.advance_time(1s);
  scheduler.run();

  CHECK(heard == 2);
  CHECK(reason == errc::timeout);
}

TEST_CASE("an answer takes its timeout with it") {
  caf::actor_system_config config;
  config.set("scheduler.policy", caf::atom("testing"));
  caf::actor_system system{config};
  auto& scheduler = dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  completion<int> answer;
  int heard = 0;
  auto lives_on = system.spawn([&](caf::event_based_actor* self) -> caf::behavior {
    pending<int>{self, in(3s),
                 [&](completion<int> done) -> expire {
                   answer = std::move(done);
                   return [] {};
                 }}
        .then([&](int& value) { heard = value; }, [](caf::error&) {});
    return {[](caf::ok_atom) {}};
  });
  scheduler.run();
  CHECK(scheduler.has_pending_timeout());

  answer(7);
  scheduler.run();

  CHECK(heard == 7);
  CHECK_FALSE(scheduler.has_pending_timeout());
}

TEST_CASE("an actor that ended before the answer harms nobody") {
  caf::actor_system_config config;
  caf::actor_system system{config};
  completion<int> late;
  std::promise<void> asked;
  {
    auto asker = system.spawn([&](caf::event_based_actor* self) {
      pending<int>{self, in(5s),
                   [&](completion<int> done) -> expire {
                     late = std::move(done);
                     return [] {};
                   }}
          .then([](int&) { FAIL("the asker has ended"); }, [](caf::error&) {});
      self->quit();
      asked.set_value();
    });
    asked.get_future().wait();
  }
  system.await_all_actors_done();

  late(1);
}
