// Proves that a wait for another region, or for all, ends when the databases there have the
// position, and says who has not.
#include "fly/repo/wait_at.hpp"

#include <chrono>
#include <future>
#include <string>
#include <thread>

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
  auto late = lax.db->wait_for(where, in_region("ams"), 300ms);
  CHECK_MESSAGE(late == errc::not_visible, fly::to_string(late));
  CHECK(names(late, "in ams"));
  CHECK(lax.db->wait_for(where, everywhere, 300ms) == errc::not_visible);

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
    lax.db->wait_for(self, next, in_region("ams"), 300ms)
        .then([&] { late.set_value({}); }, [&](caf::error& reason) { late.set_value(reason); });
  });
  CHECK(late.get_future().get() == errc::not_visible);
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
