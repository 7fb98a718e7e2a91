// Proves that what is known of one replica is not believed of another one behind the same port.
#include "tests/support/round_robin.hpp"

#include <doctest/doctest.h>

#include "tests/repo/far_shops.hpp"
#include "tests/repo/tracked.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;

namespace {

std::string url_at(std::uint16_t port) {
  return "postgresql://app@127.0.0.1:" + std::to_string(port) + "/app";
}

} // namespace

TEST_CASE_FIXTURE(
    two_replicas,
    "fault 21: progress of one replica is not believed of a slower one behind its port") {
  round_robin port{{servers.replica(0).port(), servers.replica(1).port()}};
  auto roles = std::make_shared<repo::role_board>(1h, [](const auto&) {});
  repo::lsn_tracker tracker{{.watcher = {.link = {.url = url_at(port.port())}}}, roles};
  actors::supervisor tree{system, {}, {tracker.child()}};
  auto wait = [&](const repo::position& where, std::chrono::milliseconds timeout) {
    auto deadline = std::chrono::steady_clock::now() + timeout;
    return actors::ask<caf::unit_t>(deadline, [&](actors::completion<caf::unit_t> done) {
      return tracker.wait_for(where, deadline, std::move(done));
    });
  };
  REQUIRE(wait(write(), 5s));
  REQUIRE(eventually([&] { return tracker.server().has_value(); }));
  auto first = tracker.server()->address;
  bool on_first = first.ends_with(":" + std::to_string(servers.replica(0).port()));
  auto& slow = servers.replica(on_first ? 1 : 0);
  slow.pause_replay();
  auto where = write();
  REQUIRE(wait(where, 5s));

  port.drop(); // the next connection is to the other one
  REQUIRE(eventually([&] {
    auto now = tracker.server();
    return now && now->address != first;
  }));
  auto too_early = wait(where, 400ms);
  REQUIRE_FALSE(too_early);
  CHECK(too_early.error() == errc::not_visible);
  slow.resume_replay();
  CHECK(wait(where, 5s));
}

TEST_CASE_FIXTURE(far_shops,
                  "fault 21: a write that is visible is read, though one of two replicas is slow") {
  round_robin port{{servers.replica(0).port(), servers.replica(1).port()}};
  far_shop hkg{"hkg", url_at(port.port()), {syd.address()}};
  REQUIRE_FALSE(hkg.node.join());
  servers.replica(1).pause_replay();

  int visible = 0;
  int late = 0;
  for (int i = 0; i < 30; ++i) {
    auto item = "item-" + std::to_string(i);
    auto placed = rpc_and_wait(hkg.db->with({.timeout = 500ms}), shop::place, item, 1);
    if (!placed)
      continue; // the port has just been dropped
    if (placed->visible()) {
      CHECK(hkg.count(item) == 1);
      ++visible;
    } else {
      ++late;
    }
    if (i % 5 == 4)
      port.drop();
  }
  CHECK(visible > 0);
  CHECK(late > 0);
  servers.replica(1).resume_replay();
}
