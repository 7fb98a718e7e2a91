// Proves what is true while the old primary is cut off from the cluster and alive, and after the
// cut heals.
#include <chrono>
#include <future>
#include <vector>

#include <doctest/doctest.h>

#include "apps/local/delay_proxy.hpp"
#include "apps/local/postgres_process.hpp"
#include "tests/repo/far_shops.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;
using local::direction;
using repo::position;

namespace {

/// syd has the primary and is reached through a proxy alone, which can be cut; lax and ams have a
/// replica each, fra one behind that of lax.
struct shops_that_part {
  shops_that_part()
      : servers(2), behind_lax(servers.add_replica(servers.replica(0))), port(local::free_port()),
        line({.target = "127.0.0.1:" + std::to_string(port)}),
        syd(syd_options(), servers.primary().url()),
        lax("lax", servers.replica(0).url(), {line.address()}),
        ams("ams", servers.replica(1).url(), {line.address(), lax.address()}),
        fra("fra", behind_lax.url(), {line.address(), lax.address(), ams.address()}) {
    servers.primary().sql("CREATE TABLE orders (id bigserial PRIMARY KEY, item text, count int);"
                          "CREATE TABLE names (id bigserial PRIMARY KEY, name text UNIQUE);"
                          "GRANT ALL ON ALL TABLES IN SCHEMA public TO app;"
                          "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO app;"
                          "GRANT pg_monitor TO app"); // a replica's timeline at once
    for (auto* it : {&syd, &lax, &ams, &fra})
      REQUIRE_FALSE(it->node.join());
    REQUIRE(eventually([&] {
      return servers.primary().sql("SELECT to_regclass('fly.ledger') IS NOT NULL") == "t";
    }));
    for (auto* it : {&syd, &lax, &ams, &fra})
      REQUIRE(eventually([&] {
        return it->node.members().size() == 4 && it->node.primary_group().size() == 1 &&
               it->node.primary().by_database && knows_functions(*it);
      }));
    auto placed = rpc_and_wait(*fra.db, shop::place, "before", 1);
    REQUIRE_MESSAGE(placed, fly::to_string(placed.error()));
    REQUIRE(placed->visible());
    before = placed->position();
    token = fra.db->token(before);
    servers.wait_caught_up();
  }

  cluster::options syd_options() const {
    auto result = far_options("syd", {});
    result.port = port;
    result.advertise = line.address();
    return result;
  }

  static bool knows_functions(const far_shop& who) {
    for (const auto& it : who.node.views())
      if (it.services.size() <= 1 && it.state != cluster::presence::self)
        return false;
    return true;
  }

  void cut() {
    for (auto way : {direction::to_client, direction::to_target})
      line.cut(way);
  }

  void heal() {
    for (auto way : {direction::to_client, direction::to_target})
      line.heal(way);
  }

  postgres servers;
  postgres_server& behind_lax;
  std::uint16_t port;
  local::delay_proxy line;
  far_shop syd;
  far_shop lax;
  far_shop ams;
  far_shop fra;
  position before;
  std::string token;
};

} // namespace

TEST_CASE_FIXTURE(shops_that_part,
                  "writes reach the promoted server though the old primary is cut off and alive") {
  cut();
  // First, or it would get what the old primary still writes beyond the switch point.
  servers.replica(1).follow_instead(servers.replica(0));
  servers.wait_caught_up();
  auto promoted = std::chrono::steady_clock::now();
  servers.replica(0).promote();
  for (auto* from : {&lax, &ams, &fra})
    CHECK(eventually([&] {
      auto answer = rpc_primary(from->db->with({.timeout = 4s}), shop::place, "after", 1);
      return answer && answer->position().timeline == 2;
    }));
  CHECK(std::chrono::steady_clock::now() - promoted < 5s);

  // Who is on the far side of the cut cannot know, and is told where its write was.
  auto beyond = rpc_and_wait(*syd.db, shop::place, "zombie", 1);
  REQUIRE_MESSAGE(beyond, fly::to_string(beyond.error()));
  CHECK(beyond->position().timeline == 1);

  // Nobody is told that it is visible, and nobody waits for longer than asked.
  std::vector<std::future<caf::error>> waits;
  for (auto* at : {&lax, &ams, &fra})
    waits.push_back(std::async(std::launch::async, [at, where = beyond->position()] {
      return at->db->wait_for(where, 3s);
    }));
  for (auto& each : waits) {
    REQUIRE(each.wait_for(4s) == std::future_status::ready);
    auto told = each.get();
    CHECK_MESSAGE(told == errc::may_be_lost, fly::to_string(told));
  }
  for (auto* at : {&lax, &ams, &fra}) {
    CHECK(at->count("zombie") == 0);
    auto where = at->db->parse_token(token);
    REQUIRE(where);
    CHECK_FALSE(at->db->wait_for(*where, 5s)); // a token from before still holds
    auto own = rpc_and_wait(*at->db, shop::place, "again", 1);
    REQUIRE_MESSAGE(own, fly::to_string(own.error()));
    CHECK(own->visible());
  }
}

TEST_CASE_FIXTURE(shops_that_part, "after the cut has healed nothing of the old primary is taken") {
  cut();
  servers.replica(0).promote();
  REQUIRE(eventually([&] { return lax.node.primary().timeline == 2; }));
  auto keyed = syd.db->with({.key = "k"});
  REQUIRE(rpc_and_wait(keyed, shop::place, "zombie", 1));
  heal();
  auto id = syd.node.self().id;
  auto is_zombie = [&](const far_shop& at) {
    return at.node.primary().zombies == std::vector<std::string>{id};
  };
  REQUIRE(eventually([&] { return is_zombie(syd) && is_zombie(lax); }));

  auto direct = rpc::ask_raw(lax.rpc, rpc::target::member(id), shop::place.name,
                             repo::write_signature<shop::order, std::string, std::int32_t>(),
                             rpc::encode(std::string{}, std::string{"direct"}, std::int32_t{1}));
  REQUIRE_FALSE(direct);
  CHECK_MESSAGE(direct.error() == errc::not_primary, fly::to_string(direct.error()));
  CHECK(text_of(direct.error()).find("is an old primary") != std::string::npos);
  auto placed = rpc_and_wait(*syd.db, shop::place, "from syd", 1); // goes to the new one
  REQUIRE_MESSAGE(placed, fly::to_string(placed.error()));
  CHECK(placed->position().timeline == 2);
  CHECK(lax.count("from syd") == 1);
  CHECK(lax.count("zombie") == 0);
  // What the promotion lost has lost its key, too: it may be written where it now counts.
  auto again = rpc_and_wait(keyed, shop::place, "zombie", 1);
  REQUIRE_MESSAGE(again, fly::to_string(again.error()));
  CHECK_FALSE(again->repeated());
  CHECK(lax.count("zombie") == 1);
}
