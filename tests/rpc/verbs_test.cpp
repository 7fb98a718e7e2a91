// Proves how actors and threads make calls: who may block, how answers reach an actor, and that
// neither an actor that dies nor a killed RPC actor loses or leaves anything.
#include "fly/rpc/verbs.hpp"

#include <atomic>
#include <future>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/actors/must.hpp"
#include "fly/actors/supervisor.hpp"
#include "fly/rpc/each.hpp"
#include "shops.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;

namespace {

struct config : caf::actor_system_config {
  config() { cluster::prepare(*this); }
};

/// A node in syd on a lent system, and one in lax that serves.
struct bench {
  config settings;
  caf::actor_system system{settings};
  cluster::node syd{system, shop_options("syd")};
  rpc::endpoint rpc{syd};
  shop_node lax{"lax", {syd.self().address}};
  std::promise<void> release;
  bool released = false;

  bench() {
    lax.rpc->serve(
        shop::shout,
        [gate = release.get_future().share()](std::string text) -> caf::expected<std::string> {
          if (text == "block")
            gate.wait();
          if (text.empty())
            return make_error(errc::invalid_argument, "nothing to shout");
          return text + "!";
        });
    lax.rpc->serve(shop::close_day, [] {});
    REQUIRE_FALSE(syd.join());
    REQUIRE_FALSE(lax.node.join());
    REQUIRE(eventually([&] {
      auto views = syd.views();
      return views.size() == 2 && !views[0].services.empty(); // lax sorts first
    }));
  }

  ~bench() { let_go(); }

  void let_go() {
    if (!std::exchange(released, true))
      release.set_value();
  }
};

inline constexpr rpc::function<std::int32_t(std::int32_t, std::int32_t)> add{"shop.add"};

template <class F>
void run_actor(caf::actor_system& system, F f) {
  system.spawn([f](caf::event_based_actor* self) { f(self); });
}

} // namespace

TEST_CASE("an actor gets its answer with then, value, error and nothing") {
  bench it;
  std::promise<std::string> value;
  std::promise<caf::error> reason;
  std::promise<bool> nothing;
  run_actor(it.system, [&](caf::event_based_actor* self) {
    rpc_region(self, it.rpc, "lax", shop::shout, "hi")
        .then([&](std::string& loud) { value.set_value(loud); },
              [&](caf::error& why) { value.set_value(fly::to_string(why)); });
    rpc_member(self, it.rpc.with({.timeout = 1s}), it.lax.id(), shop::shout, "")
        .then([&](std::string&) { reason.set_value({}); },
              [&](caf::error& why) { reason.set_value(why); });
    rpc_region(self, it.rpc, "lax", shop::close_day)
        .then([&] { nothing.set_value(true); }, [&](caf::error&) { nothing.set_value(false); });
  });

  CHECK(value.get_future().get() == "hi!");
  CHECK(text_of(reason.get_future().get()) == "nothing to shout");
  CHECK(nothing.get_future().get());
}

TEST_CASE("an actor's call ends at its deadline") {
  bench it;
  std::promise<caf::error> reason;
  run_actor(it.system, [&](caf::event_based_actor* self) {
    rpc_primary(self, it.rpc.with({.timeout = 50ms}), shop::close_day)
        .then([&] { reason.set_value({}); }, [&](caf::error& why) { reason.set_value(why); });
  });
  CHECK(reason.get_future().get() == errc::unknown_function);

  std::promise<caf::error> late;
  run_actor(it.system, [&](caf::event_based_actor* self) {
    rpc_region(self, it.rpc.with({.timeout = 50ms}), "lax", shop::shout, "block")
        .then([&](std::string&) { late.set_value({}); },
              [&](caf::error& why) { late.set_value(why); });
  });
  CHECK(late.get_future().get() == errc::timeout);
  CHECK(it.rpc.counts().in_flight == 0);
}

TEST_CASE("a timeout that is none is refused by name, and nothing is sent") {
  bench it;
  std::atomic<int> ran = 0;
  it.lax.rpc->serve(add, [&](std::int32_t a, std::int32_t b) { return ++ran, a + b; });
  auto names = [](const caf::error& reason, const std::string& what) {
    return reason == errc::invalid_argument && text_of(reason).find(what) != std::string::npos;
  };
  for (auto none : {0ms, -5ms, std::chrono::milliseconds{24h} + 1ms}) {
    auto what = "timeout is " + std::to_string(none.count()) + " ms";
    auto bad = it.rpc.with({.timeout = none});
    CHECK(names(rpc_region(bad, "lax", add, 1, 2).error(), what));
    CHECK(names(rpc_member(bad, it.lax.id(), add, 1, 2).error(), what));
    CHECK(names(rpc_each(bad, add, 1, 2).error(), what));
    CHECK(names(rpc_cast(bad, rpc::target::region("lax"), add, 1, 2), what));
    CHECK(names(bad.actor(it.lax.id(), "cart").error(), what));
    std::promise<caf::error> reason;
    run_actor(it.system, [&](caf::event_based_actor* self) {
      rpc_region(self, bad, "lax", add, 1, 2)
          .then([&](std::int32_t) { reason.set_value({}); },
                [&](caf::error& why) { reason.set_value(why); });
    });
    CHECK(names(reason.get_future().get(), what));
  }
  CHECK(names(rpc_region(it.rpc.with({.attempt_max = -1ms}), "lax", add, 1, 2).error(),
              "attempt_max is -1 ms"));

  CHECK(eventually([&] { // once it is known to be served; one call, and none before it
    return static_cast<bool>(rpc_region(it.rpc.with({}), "lax", add, 1, 2));
  }));
  CHECK(ran == 1);
}

TEST_CASE("an actor that dies while it waits leaves no entry behind") {
  bench it;
  auto ask = [&](std::string region, std::string text) {
    return it.system.spawn([&it, region, text](caf::event_based_actor* self) -> caf::behavior {
      rpc_region(self, it.rpc.with({.timeout = 2000ms}), region, shop::shout, text)
          .then([](std::string&) {}, [](caf::error&) {});
      return {[](caf::ok_atom) {}};
    });
  };
  std::vector<caf::actor> askers{ask("hkg", "hi"), ask("lax", "block")};
  REQUIRE(
      eventually([&] { return it.rpc.counts().waiting == 1 && it.rpc.counts().in_flight == 1; }));

  for (auto& each : askers)
    caf::anon_send_exit(each, caf::exit_reason::kill);

  CHECK(eventually([&] { return it.rpc.counts().waiting + it.rpc.counts().in_flight == 0; }, 2s));
}

TEST_CASE("a blocking call is refused on a scheduler thread, not on a thread of one's own") {
  bench it;
  std::promise<caf::error> refused;
  std::promise<std::string> detached;
  run_actor(it.system, [&](caf::event_based_actor*) {
    auto value = rpc_region(it.rpc, "lax", shop::shout, "hi");
    refused.set_value(value ? caf::error{} : value.error());
  });
  it.system.spawn<caf::detached>([&](caf::event_based_actor*) {
    auto value = rpc_region(it.rpc, "lax", shop::shout, "hi");
    detached.set_value(value ? *value : fly::to_string(value.error()));
  });
  std::string blocking;
  std::atomic<bool> blocking_done{false};
  it.system.spawn([&](caf::blocking_actor*) {
    auto value = rpc_region(it.rpc, "lax", shop::shout, "hi");
    blocking = value ? *value : fly::to_string(value.error());
    blocking_done = true;
  });

  CHECK(refused.get_future().get() == errc::blocking_refused);
  CHECK(detached.get_future().get() == "hi!");
  REQUIRE(eventually([&] { return blocking_done.load(); }));
  CHECK(blocking == "hi!");
}

TEST_CASE("a function may block in calls of its own") {
  bench it;
  constexpr rpc::function<std::string(std::string)> relay{"shop.relay"};
  it.lax.rpc->serve(relay, [&](std::string text) {
    return rpc_region(*it.lax.rpc, "lax", shop::shout, text + " again");
  });

  CHECK(*rpc_region(it.rpc, "lax", relay, "hi") == "hi again!");
}

TEST_CASE("killing the RPC actor loses no call, in the own tree and in a user's") {
  bench it;
  actors::supervisor tree{
      it.system, {.restarts_max = 10, .restarts_within = 5s}, {rpc::child(it.rpc)}};
  REQUIRE(tree.wait_started(5s));
  std::vector<std::future<caf::expected<std::string>>> answers;
  for (int i = 0; i < 10; ++i)
    answers.push_back(std::async(std::launch::async,
                                 [&] { return rpc_region(it.rpc, "hkg", shop::shout, "hi"); }));
  REQUIRE(eventually([&] { return it.rpc.counts().waiting == 10; }));

  auto first = tree.which_children().front().handle;
  REQUIRE(first);
  caf::anon_send_exit(first, caf::exit_reason::kill);
  REQUIRE(eventually([&] {
    auto now = tree.which_children();
    return !now.empty() && now.front().handle && now.front().handle != first;
  }));
  shop_node hkg{"hkg", {it.syd.self().address}};
  hkg.rpc->serve(shop::shout, [](std::string text) { return text + "?"; });
  REQUIRE_FALSE(hkg.node.join());

  for (auto& each : answers) {
    auto value = each.get();
    CHECK((value && *value == "hi?"));
  }
}

TEST_CASE("where the user's tree ends the endpoint drives itself again") {
  bench it;
  {
    actors::supervisor tree{it.system, {}, {rpc::child(it.rpc)}};
    REQUIRE(tree.wait_started(5s));
  }
  // Expiry without the asker's own timer needs somebody who drives.
  std::atomic<bool> ended{false};
  it.rpc.start(rpc::target::region("hkg"), "shop.shout", {}, {},
               std::chrono::steady_clock::now() + 50ms,
               [&](caf::expected<rpc::bytes> value) { ended = !value; });

  CHECK(eventually([&] { return ended.load(); }, 3s));
}

TEST_CASE_FIXTURE(bench, "an error that a function throws reaches the caller as it is") {
  constexpr rpc::function<void(bool)> fail{"shop.fail"};
  lax.rpc->serve(fail, [](bool bare) {
    auto reason = make_error(errc::not_found, "no such shelf");
    if (bare)
      throw reason;
    throw failure{reason};
  });

  for (bool bare : {false, true}) {
    auto thrown = rpc_region(rpc, "lax", fail, bare);

    REQUIRE_FALSE(thrown);
    CHECK(thrown.error() == errc::not_found);
    CHECK(text_of(thrown.error()) == "no such shelf");
  }
}
