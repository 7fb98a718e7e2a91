// Proves that a wait for another region, or for all, ends when the databases there have the
// position, and says who has not.
#include "fly/repo/wait_at.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include <caf/event_based_actor.hpp>

#include "tests/repo/far_shops.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;
using repo::everywhere;
using repo::in_region;

namespace {

repo::position place(const far_shop& on) {
  auto placed = rpc_primary(*on.db, shop::place, "pen", 1);
  REQUIRE(placed);
  return placed->position();
}

constexpr rpc::function<std::string(std::string)> shout{"shop.shout"};

bool names(const caf::error& reason, const std::string& part) {
  return text_of(reason).find(part) != std::string::npos;
}

} // namespace

TEST_CASE_FIXTURE(far_shops, "a position is waited for in another region, and everywhere") {
  servers.replica(1).pause_replay();
  auto where = place(lax);

  CHECK_FALSE(lax.db->wait_for(where, in_region("syd"), 5s));
  CHECK_FALSE(lax.db->wait_for(where, in_region("lax"), 5s));
  CHECK_FALSE(ams.db->wait_for(where, in_region("lax"), 5s));
  auto late = lax.db->wait_for(where, in_region("ams"), 1000ms);
  CHECK_MESSAGE(late == errc::not_visible, fly::to_string(late));
  CHECK(names(late, "in ams"));
  CHECK(lax.db->wait_for(where, everywhere, 1000ms) == errc::not_visible);

  auto all =
      std::async(std::launch::async, [&] { return lax.db->wait_for(where, everywhere, 10s); });
  CHECK(all.wait_for(100ms) == std::future_status::timeout);
  servers.replica(1).resume_replay();
  CHECK_FALSE(all.get());
  CHECK(ams.count("pen") == 1);
}

TEST_CASE_FIXTURE(far_shops, "an actor waits for another region without blocking its thread") {
  auto where = place(lax);
  std::promise<caf::error> heard;
  lax.node.system().spawn([&](caf::event_based_actor* self) {
    lax.db->wait_for(self, where, everywhere, 5s)
        .then([&] { heard.set_value({}); }, [&](caf::error& reason) { heard.set_value(reason); });
  });
  CHECK_FALSE(heard.get_future().get());

  servers.replica(1).pause_replay();
  auto next = place(lax);
  std::promise<caf::error> late;
  lax.node.system().spawn([&](caf::event_based_actor* self) {
    lax.db->wait_for(self, next, in_region("ams"), 1000ms)
        .then([&] { late.set_value({}); }, [&](caf::error& reason) { late.set_value(reason); });
  });
  CHECK(late.get_future().get() == errc::not_visible);
  servers.replica(1).resume_replay();
}

TEST_CASE_FIXTURE(far_shops, "waits of others take no thread of the member that is asked") {
  constexpr int waits = 100;
  REQUIRE_FALSE(ams.rpc.serve(shout, [](const std::string& what) { return what + "!"; }));
  servers.replica(1).pause_replay();
  auto where = place(lax);
  std::promise<void> all;
  std::atomic<int> told{0};
  std::atomic<int> visible{0};
  for (int i = 0; i < waits; ++i)
    lax.db->wait_for(where, in_region("ams"), 20s, [&](const caf::error& late) {
      visible += !late;
      if (++told == waits)
        all.set_value();
    });
  CHECK(eventually([&] { return ams.db->counts().waiters == waits; }));

  auto begun = std::chrono::steady_clock::now();
  auto answer = rpc_region(lax.rpc.with({.timeout = 10s}), "ams", shout, std::string{"pen"});
  CHECK_MESSAGE(answer, (answer ? "" : fly::to_string(answer.error())));
  CHECK(std::chrono::steady_clock::now() - begun < 5s); // of the 20 s that they wait
  servers.replica(1).resume_replay();
  CHECK(all.get_future().wait_for(10s) == std::future_status::ready);
  CHECK(visible == waits);
}

TEST_CASE_FIXTURE(far_shops, "a function is told of another region's delay, and of its own end") {
  servers.replica(1).pause_replay();
  auto where = place(lax);
  auto wait = [&](std::chrono::milliseconds timeout) {
    auto heard = std::make_shared<std::promise<caf::error>>();
    lax.db->wait_for(where, everywhere, timeout,
                     [heard](caf::error late) { heard->set_value(std::move(late)); });
    return heard->get_future();
  };
  auto late = wait(300ms).get();
  CHECK_MESSAGE(late == errc::not_visible, fly::to_string(late));
  CHECK(names(late, "in ams"));
  CHECK(eventually([&] { return ams.db->counts().waiters == 0; }));

  auto cut = wait(20s);
  CHECK(eventually([&] { return ams.db->counts().waiters == 1; }));
  ams.db.reset();
  auto gone = cut.get();
  CHECK_MESSAGE(names(gone, "in ams"), fly::to_string(gone));
  servers.replica(1).resume_replay();
}

TEST_CASE_FIXTURE(far_shops, "the end of who waits ends the wait at the member that is asked") {
  servers.replica(1).pause_replay();
  auto where = place(lax);
  std::promise<caf::error> heard;
  {
    auto ends = std::make_unique<far_shop>("hkg", servers.primary().url(),
                                           std::vector<std::string>{ams.address()});
    REQUIRE_FALSE(ends->node.join());
    REQUIRE(eventually([&] {
      auto all = ends->node.views();
      return std::any_of(all.begin(), all.end(), [](const cluster::member_view& it) {
        return it.who.region == "ams" && it.database.role == cluster::claim::role::replica;
      });
    }));
    ends->db->wait_for(where, in_region("ams"), 60s,
                       [&](caf::error late) { heard.set_value(std::move(late)); });
    REQUIRE(eventually([&] { return ams.db->counts().waiters == 1; }));
  }
  CHECK(heard.get_future().get());
  CHECK(eventually([&] { return ams.db->counts().waiters == 0; }));
  servers.replica(1).resume_replay();
}

TEST_CASE_FIXTURE(far_shops, "a wait for nobody, or for what never comes, says so") {
  auto where = place(lax);
  auto nobody = lax.db->wait_for(where, in_region("hkg"), 5s);
  CHECK(nobody == errc::no_node_in_region);
  CHECK(names(nobody, "hkg"));
  CHECK(names(nobody, "syd"));
  far_shop part_of_a_name{"sy", servers.primary().url(), {lax.address()}};
  REQUIRE_FALSE(part_of_a_name.node.join());
  REQUIRE(eventually([&] { return lax.node.views().size() == 4; }));
  nobody = lax.db->wait_for(where, in_region("hkg"), 5s);
  CHECK_MESSAGE(names(nobody, "ams, lax, sy, syd"), fly::to_string(nobody));

  auto foreign = where;
  foreign.system = 1;
  auto never = lax.db->wait_for(foreign, in_region("ams"), 5s);
  CHECK_MESSAGE(never == errc::foreign_position, fly::to_string(never));
  CHECK(names(never, "in ams"));
}
