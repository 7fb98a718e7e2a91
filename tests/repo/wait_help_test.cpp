// Proves that a thread which waits alone asks for itself, and that what it leaves goes on: others
// who come, what takes long, a server that is silent, and the looks that are due.
#include "fly/repo/wait_help.hpp"

#include <atomic>
#include <chrono>
#include <future>
#include <random>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include <pqxx/pqxx>

#include <caf/send.hpp>

#include "tests/repo/tracked.hpp"

using namespace std::chrono_literals;
using fly::errc;
using fly::repo::position;
using fly::repo::wait_help;
using fly::test::eventually;
using fly::test::one_replica;
using fly::test::tracked;
using clock_type = std::chrono::steady_clock;

namespace {

struct helped : one_replica {
  tracked local{system, servers.replica()};

  caf::error wait(const position& where, std::chrono::milliseconds timeout) {
    auto deadline = clock_type::now() + timeout;
    wait_help help;
    auto answer = fly::actors::ask<caf::unit_t>(
        deadline,
        [&](fly::actors::completion<caf::unit_t> done) {
          return local.tracker.wait_for(where, deadline,
                                        [this, done = std::move(done)](auto outcome) {
                                          ended_by = std::this_thread::get_id();
                                          done(std::move(outcome));
                                        });
        },
        [&] { help.run(deadline); });
    return answer ? caf::error{} : answer.error();
  }

  /// Lets the tracker rest, and know the server.
  void settle() {
    REQUIRE_FALSE(local.wait(write(), 5s));
    std::this_thread::sleep_for(50ms); // longer than a crowd is remembered
  }

  std::atomic<std::thread::id> ended_by{};
};

} // namespace

TEST_CASE_FIXTURE(helped, "a thread that waits alone asks for itself") {
  settle();
  int own = 0;
  for (int i = 0; i < 100; ++i) {
    auto where = write(i);
    servers.wait_caught_up(); // what takes longer than it asks itself is the tracker's
    REQUIRE_FALSE(wait(where, 5s));
    own += ended_by.load() == std::this_thread::get_id();
  }
  CHECK(own > 10); // of the others the answer took too long, on a busy machine
  CHECK(local.tracker.waiting() == 0);
}

TEST_CASE_FIXTURE(helped, "what takes long is the tracker's, and ends at its deadline") {
  settle();
  servers.replica().pause_replay();
  auto where = write();
  auto begun = clock_type::now();
  CHECK(wait(where, 100ms) == errc::not_visible);
  CHECK(clock_type::now() - begun < 4s);
  auto later = std::async(std::launch::async, [&] { return wait(where, 10s); });
  std::this_thread::sleep_for(30ms); // longer than it asks itself
  servers.replica().resume_replay();
  CHECK_FALSE(later.get());
  CHECK(ended_by.load() != std::this_thread::get_id());
}

TEST_CASE_FIXTURE(helped, "a server that is silent does not hold who asks beyond his deadline") {
  settle();
  auto where = write();
  servers.replica().freeze();
  auto begun = clock_type::now();
  CHECK(wait(where, 100ms) == errc::not_visible);
  CHECK(clock_type::now() - begun < 4s);
  servers.replica().thaw();
  CHECK_FALSE(wait(where, 10s));
}

TEST_CASE_FIXTURE(helped, "a wait that is given up before its thread asks leaves nothing") {
  settle();
  servers.replica().pause_replay();
  auto where = write();
  int ended = 0;
  auto count = [&](caf::expected<caf::unit_t>) { ++ended; };
  {
    wait_help help;
    auto end = local.tracker.wait_for(where, clock_type::now() + 10s, count);
    end();
    help.run(clock_type::now() + 10s);
  }
  CHECK(ended == 1);
  std::promise<bool> heard;
  {
    wait_help help; // whose thread has something else to do: the tracker asks
    local.tracker.wait_for(where, clock_type::now() + 10s, [&](caf::expected<caf::unit_t> outcome) {
      heard.set_value(static_cast<bool>(outcome));
    });
    servers.replica().resume_replay();
  }
  CHECK(heard.get_future().get());
}

TEST_CASE_FIXTURE(helped, "who comes while one thread asks for itself is answered, too") {
  settle();
  std::atomic<int> late = 0;
  std::vector<std::thread> all;
  for (unsigned who = 0; who < 3; ++who)
    all.emplace_back([&, who] {
      auto mine = std::move(
          *fly::repo::connection::open({.url = servers.primary().url()}, clock_type::now() + 10s));
      std::minstd_rand random{who + 1};
      for (int i = 0; i < 300; ++i) {
        std::this_thread::sleep_for(std::chrono::microseconds{random() % 40'000 / (who + 1)});
        fly::repo::transaction tx{*mine};
        tx.exec("INSERT INTO t VALUES (1)");
        auto where = tx.finish();
        auto begun = clock_type::now();
        bool there = where && !(who == 0 ? local.wait(*where, 5s) : wait(*where, 5s));
        late += !there || clock_type::now() - begun > 4s;
      }
    });
  for (auto& it : all)
    it.join();
  CHECK(late == 0);
  CHECK(local.tracker.waiting() == 0);
}

TEST_CASE_FIXTURE(helped, "a tracker that is killed meanwhile is started again, and all go on") {
  settle();
  std::atomic<bool> over = false;
  std::thread kills{[&] {
    while (!over) {
      caf::anon_send_exit(local.actor(), caf::exit_reason::kill);
      std::this_thread::sleep_for(60ms);
    }
  }};
  for (int i = 0; i < 60; ++i) {
    auto begun = clock_type::now();
    CHECK_FALSE(wait(write(i), 5s));
    CHECK(clock_type::now() - begun < 4s);
  }
  over = true;
  kills.join();
}

TEST_CASE_FIXTURE(helped, "the server is looked at though threads ask for themselves") {
  settle();
  std::atomic<bool> over = false;
  std::thread waits{[&, where = write()] {
    while (!over)
      CHECK_FALSE(wait(where, 5s));
  }};
  for (int i = 0; i < 2; ++i) {
    auto now = write();
    CHECK(eventually([&] { return local.roles->report().server.lsn >= now.lsn; }));
  }
  over = true;
  waits.join();
}
