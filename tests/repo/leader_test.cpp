// Proves that one node of the primary group leads, that leader's writes run there alone, and what
// happens when it goes, is cut off, or finds out too late that another one leads.
#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include <doctest/doctest.h>

#include "fly/repo/primary_move.hpp"
#include "fly/rpc/verbs.hpp"
#include "tests/repo/far_shops.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

namespace {

inline constexpr repo::write<std::string(std::string)> place_on_leader{"shop.place_on_leader"};

constexpr auto lease_time = 900ms;

repo::options with_lease(const std::string& url, std::chrono::milliseconds lease = lease_time) {
  auto result = database_options(url);
  result.lease = lease;
  return result;
}

/// A node that serves a leader's write, which says where it ran, and may be held up in it.
struct lead_node {
  lead_node(const std::string& region, repo::options settings, std::vector<std::string> peers)
      : node(far_options(region, std::move(peers))), rpc(node),
        db(std::make_unique<repo::database>(rpc, std::move(settings))) {
    serve_shop(*db);
    db->serve(place_on_leader, {.on_leader = true},
              [this](pqxx::transaction_base& tx, std::string item) {
                fly::repo::exec(tx, "INSERT INTO orders (item, count) VALUES ($1, 1)", item);
                ++running;
                while (held_up)
                  std::this_thread::sleep_for(1ms);
                return node.self().id;
              });
  }
  ~lead_node() { held_up = false; }

  std::string id() const { return node.self().id; }
  bool leads() const { return node.leader() == node.self(); }
  auto place(const std::string& item, std::chrono::milliseconds timeout = 5s) const {
    return rpc_primary(db->with({.timeout = timeout}), place_on_leader, item);
  }

  std::atomic<int> running = 0;
  std::atomic<bool> held_up = false;
  cluster::node node;
  rpc::endpoint rpc;
  std::unique_ptr<repo::database> db;
};

/// Two nodes at the primary, one at its replica.
struct leaders {
  explicit leaders(std::chrono::milliseconds lease = lease_time) : lease(lease), servers(1) {
    servers.primary().sql("CREATE TABLE orders (id bigserial PRIMARY KEY, item text, count int);"
                          "GRANT ALL ON ALL TABLES IN SCHEMA public TO app;"
                          "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO app");
    servers.wait_caught_up();
    one = make("syd", servers.primary().url(), {});
    two = make("syd", servers.primary().url(), {one->node.self().address});
    lax = make("lax", servers.replica(0).url(), addresses());
    REQUIRE(all_know_a_leader());
  }

  std::unique_ptr<lead_node> make(const std::string& region, const std::string& url,
                                  std::vector<std::string> peers) const {
    auto result = std::make_unique<lead_node>(region, with_lease(url, lease), std::move(peers));
    REQUIRE_FALSE(result->node.join());
    return result;
  }

  std::vector<std::string> addresses() const {
    return {one->node.self().address, two->node.self().address};
  }

  bool all_know_a_leader() const {
    return eventually([&] {
      auto id = holder();
      for (const auto* it : {one.get(), two.get(), lax.get()})
        if (!it->node.leader() || it->node.leader()->id != id ||
            it->node.primary_group().size() != 2)
          return false;
      return true;
    });
  }

  /// Who has the lease, by the database itself; empty where nobody has.
  std::string holder() const {
    if (servers.primary().sql("SELECT to_regclass('fly.lease') IS NOT NULL") != "t")
      return {};
    return servers.primary().sql("SELECT holder FROM fly.lease WHERE expires > clock_timestamp()");
  }

  lead_node& leader() const { return one->leads() ? *one : *two; }
  lead_node& other() const { return one->leads() ? *two : *one; }

  /// Gives the lease to a stranger, as if it had run out and been taken.
  void steal(const std::string& lasts) {
    servers.primary().sql("UPDATE fly.lease SET expires = to_timestamp(0); "
                          "SELECT fly.take_lease('stranger', 1, '" +
                          lasts + "')");
  }

  std::string rows(const std::string& item) const {
    return servers.primary().sql("SELECT count(*) FROM orders WHERE item = '" + item + "'");
  }

  std::chrono::milliseconds lease;
  mutable postgres servers;
  std::unique_ptr<lead_node> one;
  std::unique_ptr<lead_node> two;
  std::unique_ptr<lead_node> lax;
};

struct long_lease : leaders {
  long_lease() : leaders(20s) {}
};

/// Counts what a listener hears.
struct counter : cluster::listener {
  void on_frame(const std::shared_ptr<cluster::channel>&, cluster::frame_kind,
                std::span<const std::byte>) override {}
  void on_link_down(const std::shared_ptr<cluster::channel>&, const caf::error&) override {}
  void on_change() override {}
  void on_leader() override { ++changes; }
  std::atomic<int> changes = 0;
};

} // namespace

TEST_CASE_FIXTURE(leaders, "one of the primary group leads, and its writes run there alone") {
  for (int i = 0; i < 30; ++i)
    for (auto* from : {one.get(), two.get(), lax.get()}) {
      auto placed = from->place("pen");
      REQUIRE_MESSAGE(placed, fly::to_string(placed ? caf::error{} : placed.error()));
      CHECK(**placed == leader().id());
    }
  CHECK(leader().running == 90);
  CHECK(other().running == 0);
  CHECK(rows("pen") == "90");
  // Renewals have not begun another turn.
  std::this_thread::sleep_for(2 * lease_time);
  CHECK(servers.primary().sql("SELECT timeline || '/' || counter FROM fly.epoch") == "1/1");
  CHECK(lax->node.primary().lease == cluster::epoch{1, 1});
}

TEST_CASE_FIXTURE(leaders, "other writes run on any member of the primary group") {
  for (const auto* it : {one.get(), two.get()})
    CHECK(rpc_primary(*it->db, shop::place, "pen", 1));
  CHECK(rpc_and_wait(*lax->db, shop::place, "pen", 1));
}

TEST_CASE_FIXTURE(long_lease, "a leader that leaves hands over at once") {
  auto& next = other();
  auto heard = std::make_shared<counter>();
  lax->node.listen(heard);
  auto begun = clock_type::now();
  leader().node.leave();
  auto left = clock_type::now();

  CHECK(eventually([&] { return holder() == next.id(); }));
  CHECK(clock_type::now() - left < 10s); // of a lease of 20 s
  CHECK(eventually([&] { return lax->node.leader() == next.node.self(); }));
  auto placed = lax->place("pen");
  REQUIRE(placed);
  CHECK(**placed == next.id());
  CHECK(heard->changes >= 1);
  CHECK(lax->node.primary().lease == cluster::epoch{1, 2});
  MESSAGE("left after ",
          std::chrono::duration_cast<std::chrono::milliseconds>(left - begun).count(), " ms");
  lax->node.unlisten(heard.get());
}

TEST_CASE_FIXTURE(long_lease, "a leader whose database is detached hands over at once") {
  auto& next = other();
  leader().db.reset();

  CHECK(eventually([&] { return next.leads() && lax->node.leader() == next.node.self(); }, 2s));
  CHECK(holder() == next.id());
}

TEST_CASE_FIXTURE(leaders, "a frozen database keeps nobody leading beyond the lease") {
  servers.primary().freeze();
  auto frozen = clock_type::now();

  CHECK(eventually([&] { return !lax->node.leader(); }, 5s));
  CHECK(clock_type::now() - frozen < lease_time + 300ms);
  auto refused = lax->place("pen", 300ms);
  CHECK_FALSE(refused);

  servers.primary().thaw();
  CHECK(eventually([&] { return bool(lax->place("ink", 1s)); }));
}

TEST_CASE_FIXTURE(leaders,
                  "a leader that finds out at the commit that another leads cannot commit") {
  auto& was = leader();
  was.held_up = true;
  auto late = std::async(std::launch::async, [&] { return was.place("late", 10s); });
  REQUIRE(eventually([&] { return was.running == 1; }));
  steal("1 s");
  was.held_up = false;

  auto outcome = late.get();
  REQUIRE_FALSE(outcome);
  CHECK(outcome.error() == errc::not_leader);
  CHECK(effect_of(outcome.error()) == effect::nothing_ran);
  CHECK(text_of(outcome.error()).find("deposed") != std::string::npos);
  CHECK(rows("late") == "0");
  // And it goes on, in a turn of its own.
  auto again = lax->place("again", 5s);
  REQUIRE_MESSAGE(again, fly::to_string(again ? caf::error{} : again.error()));
  CHECK(lax->node.primary().lease.counter == 3);
}

TEST_CASE_FIXTURE(leaders, "a call waits for a leader until its deadline, and says who leads") {
  steal("4 s");
  REQUIRE(eventually([&] {
    for (const auto& view : lax->node.views())
      if (view.database.leads) // it may find out at the commit only
        return false;
    return true;
  }));

  auto in_vain = lax->place("pen", 300ms);
  REQUIRE_FALSE(in_vain);
  CHECK(in_vain.error() == errc::not_leader);
  CHECK_MESSAGE(text_of(in_vain.error()).find("nobody leads") != std::string::npos,
                text_of(in_vain.error()));
  CHECK(rows("pen") == "0");
  auto placed = lax->place("pen", 10s);
  REQUIRE_MESSAGE(placed, fly::to_string(placed ? caf::error{} : placed.error()));
  CHECK(rows("pen") == "1");
}

TEST_CASE_FIXTURE(leaders, "after a promotion somebody leads there, in a later epoch") {
  auto before = lax->node.primary().lease;
  servers.wait_caught_up();
  servers.replica(0).promote();

  CHECK(eventually([&] { return lax->leads() && one->node.leader() == lax->node.self(); }));
  auto now = lax->node.primary().lease;
  CHECK(now.timeline == 2);
  CHECK(now > before);
  auto placed = one->place("pen");
  REQUIRE(placed);
  CHECK(**placed == lax->id());
  CHECK(placed->position().timeline == 2);
  CHECK(rows("pen") == "0");
  // The old primary's nodes ask for no lease any more, and what they had runs out.
  CHECK(eventually([&] { return holder().empty(); }));
}

TEST_CASE("without fly's tables leader's writes are refused with the page that helps") {
  postgres servers;
  servers.primary().sql("CREATE TABLE orders (id bigserial PRIMARY KEY, item text, count int);"
                        "GRANT ALL ON ALL TABLES IN SCHEMA public TO app;"
                        "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO app");
  auto settings = with_lease(servers.primary().url());
  settings.manage_schema = false;
  lead_node alone{"syd", settings, {}};
  REQUIRE_FALSE(alone.node.join());
  REQUIRE(eventually([&] { return alone.leads(); })); // the smallest id, as without a database

  auto begun = clock_type::now();
  auto refused = alone.place("pen", 10s);
  CHECK(clock_type::now() - begun < 5s);
  CHECK(refused.error() == errc::not_leader);
  CHECK(text_of(refused.error()).find("docs/rights.md") != std::string::npos);
  CHECK(alone.running == 0);
  CHECK(rpc_primary(*alone.db, shop::place, "pen", 1));
}

TEST_CASE("a role without the right to the lease says so, and leaves it to others") {
  leaders all;
  all.servers.primary().sql("CREATE ROLE guest LOGIN; GRANT ALL ON orders TO guest; "
                            "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO guest");
  auto guest = all.make("syd", all.servers.primary().url("guest"), all.addresses());

  CHECK(eventually([&] {
    for (const auto& view : all.one->node.views())
      if (view.who.id == guest->id())
        return view.database.reason.find("take_lease") != std::string::npos;
    return false;
  }));
  auto placed = guest->place("pen");
  REQUIRE(placed);
  CHECK(**placed == all.leader().id());
}

TEST_CASE_FIXTURE(leaders, "while writes are held nobody leads and the lease is not renewed") {
  auto hold = [&](std::int64_t longest) {
    for (auto* it : {one.get(), two.get()}) {
      auto told = rpc_member(lax->rpc, it->id(), repo::hold_writes, longest, std::uint32_t{1});
      REQUIRE_MESSAGE(told, fly::to_string(told.error()));
      bool first = longest > 0 && it == one.get();
      CHECK(told->held == first);
      CHECK(told->waits == (longest > 0 && !first));
      CHECK(told->position.empty() != first);
    }
  };
  hold(60'000);
  CHECK(holder().empty());
  auto held = rpc_primary(lax->db->with({.timeout = 1000ms}), shop::place, "pen", 1);
  REQUIRE_FALSE(held);
  CHECK(effect_of(held.error()) == effect::nothing_ran);
  CHECK(text_of(held.error()).find("writes are held") != std::string::npos);
  auto until = clock_type::now() + 2 * lease_time;
  while (clock_type::now() < until)
    CHECK(holder().empty());

  hold(0);
  CHECK(all_know_a_leader());
  CHECK_FALSE(holder().empty());
  CHECK(rpc_primary(*lax->db, shop::place, "pen", 1));
}
