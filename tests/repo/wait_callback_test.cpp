// Proves the form of waiting that takes neither thread nor actor: each is told once, when the
// database is that far, at the deadline whatever the database does, or when it closes.
#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/repo/database.hpp"
#include "fly/repo/lsn_tracker.hpp"
#include "fly/repo/role_board.hpp"
#include "fly/repo/wait_alarm.hpp"
#include "tests/repo/far_shops.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

namespace {

/// Waits by callback, and tells how each ended, and when.
struct heard {
  struct ending {
    caf::error reason;
    clock_type::time_point when;
  };

  std::function<void(caf::error)> hear() {
    return [all = all_](caf::error reason) { // it may come when the test is over
      std::lock_guard guard{all->mutex};
      all->endings.push_back({std::move(reason), clock_type::now()});
    };
  }

  std::vector<ending> endings() const {
    std::lock_guard guard{all_->mutex};
    return all_->endings;
  }

  bool are(std::size_t count, std::chrono::milliseconds within = 10s) const {
    return eventually([&] { return endings().size() == count; }, within);
  }

private:
  struct shared {
    std::mutex mutex;
    std::vector<ending> endings;
  };
  std::shared_ptr<shared> all_ = std::make_shared<shared>();
};

struct paused_shops : far_shops {
  paused_shops() {
    servers.replica(0).pause_replay();
    auto placed = rpc_primary(*lax.db, shop::place, "pen", 1);
    REQUIRE_MESSAGE(placed, fly::to_string(placed.error()));
    where = placed->position();
  }

  repo::position where;
};

} // namespace

TEST_CASE_FIXTURE(paused_shops, "thousands who wait by callback are told once each") {
  heard told;
  for (int i = 0; i < 5000; ++i)
    lax.db->wait_for(where, 20s, told.hear());
  CHECK(lax.db->counts().waiters == 5000);
  CHECK(told.endings().empty());

  servers.replica(0).resume_replay();

  REQUIRE(told.are(5000));
  for (const auto& it : told.endings())
    REQUIRE_FALSE(it.reason);
  CHECK(lax.count("pen") == 1);
  CHECK(lax.db->counts().waiters == 0);
  lax.db->wait_for(where, 20s, told.hear());
  CHECK(told.are(5001));
}

TEST_CASE_FIXTURE(paused_shops,
                  "who waits by callback is told at his deadline, whoever is frozen") {
  heard told;
  auto begun = clock_type::now();
  lax.db->wait_for(where, 5s, told.hear());
  lax.db->wait_for(where, 300ms, told.hear());
  servers.replica(0).freeze();
  std::this_thread::sleep_for(50ms); // the tracker's question hangs
  lax.db->wait_for(where, 200ms, told.hear());

  REQUIRE(told.are(2, 5s));
  auto late = told.endings();
  CHECK(late[0].reason == errc::not_visible);
  CHECK(late[0].when - begun >= 200ms);
  CHECK(late[1].reason == errc::not_visible);
  CHECK(late[1].when - begun >= 300ms);
  CHECK(late[1].when - begun < 1800ms); // a question may hang for 2 s
  servers.replica(0).thaw();
  servers.replica(0).resume_replay();
  REQUIRE(told.are(3));
  CHECK_FALSE(told.endings()[2].reason);
}

TEST_CASE_FIXTURE(paused_shops,
                  "who waits by callback hears of every bad argument, and of the end") {
  heard told;
  lax.db->wait_for(where, 0ms, told.hear());
  REQUIRE(told.endings().size() == 1);
  CHECK(told.endings()[0].reason == errc::invalid_argument);
  auto foreign = where;
  foreign.system += 1;
  lax.db->wait_for(foreign, 20s, told.hear());
  REQUIRE(told.are(2));
  CHECK(told.endings()[1].reason == errc::foreign_position);

  lax.db->wait_for(where, 20s, told.hear());
  lax.db.reset();

  REQUIRE(told.endings().size() == 3);
  CHECK(told.endings()[2].reason == errc::shutting_down);
}

TEST_CASE_FIXTURE(paused_shops, "an alarm rings as often as there are deadlines") {
  repo::lsn_tracker tracker{{}, std::make_shared<repo::role_board>(1s, nullptr)};
  std::shared_ptr<repo::lsn_tracker> borrowed{&tracker, [](auto*) {}};
  repo::wait_alarm alarm{borrowed};
  constexpr std::size_t short_waits = 40;
  auto wait = [&](std::chrono::milliseconds time) {
    auto deadline = clock_type::now() + time;
    tracker.wait_for(where, deadline, [](const auto&) {});
    alarm.set(lax.node.system(), deadline);
  };
  wait(2s);
  for (std::size_t i = 0; i < short_waits; ++i) {
    wait(10ms);
    std::this_thread::sleep_for(15ms);
  }
  wait(3s); // what rings for the first long one goes on
  CHECK(eventually([&] { return tracker.waiting() == 0; }));
  CHECK(alarm.rung() <= short_waits + 2);
  alarm.close();
}

TEST_CASE_FIXTURE(paused_shops, "a callback that throws or would block harms nobody else") {
  heard told;
  std::promise<caf::error> refused;
  lax.db->wait_for(where, 20s, told.hear());
  lax.db->wait_for(where, 20s, [](const caf::error&) { throw std::runtime_error{"mine"}; });
  lax.db->wait_for(where, 20s, [&](const caf::error&) {
    refused.set_value(lax.db->wait_for(where, 1s)); // in this thread it could not end
  });
  lax.db->wait_for(where, 20s, told.hear());

  servers.replica(0).resume_replay();

  CHECK(told.are(2));
  CHECK(refused.get_future().get() == errc::blocking_refused);
  CHECK_FALSE(lax.db->wait_for(where, 5s)); // the tracker goes on
}
