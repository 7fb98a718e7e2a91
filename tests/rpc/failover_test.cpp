// Proves what becomes of calls when members die, leave, refuse, or close, with real nodes; one of
// them is a process of its own that is killed.
#include "fly/rpc/endpoint.hpp"

#include <array>
#include <atomic>
#include <cstdio>
#include <future>
#include <thread>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/rpc/server.hpp"
#include "peer_process.hpp"
#include "shops.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;

namespace {

/// A handler of bytes, as the repo floor serves its writes.
rpc::raw_handler returning(std::function<caf::expected<std::string>()> f) {
  return [f = std::move(f)](const rpc::call_context&,
                            std::span<const char>) -> caf::expected<rpc::bytes> {
    auto value = f();
    if (!value)
      return value.error();
    return rpc::encode(*value);
  };
}

} // namespace

TEST_CASE("calls of a process that is killed fail at once, and say that they may have run") {
  shop_node syd{"syd"};
  REQUIRE_FALSE(syd.node.join());
  peer_process hkg{"hkg", syd.address()};
  REQUIRE(sees_endpoints(syd, 2));
  auto patient = syd.rpc->with({.timeout = 30s});
  REQUIRE(*rpc_region(patient, "hkg", shop::shout, "hi") == "hi");
  std::vector<std::future<caf::expected<std::string>>> answers;
  for (int i = 0; i < 4; ++i)
    answers.push_back(std::async(std::launch::async,
                                 [&] { return rpc_region(patient, "hkg", shop::shout, "block"); }));
  REQUIRE(eventually([&] { return syd.rpc->counts().in_flight == 4; }));
  std::this_thread::sleep_for(50ms); // until the other process has begun them

  auto took = time_of([&] {
    hkg.kill();
    for (auto& each : answers)
      CHECK(each.get().error() == errc::member_lost);
  });

  CHECK(took < 2s);
  CHECK(syd.rpc->counts().in_flight == 0);
}

TEST_CASE("a member that leaves ends its calls, and others take the new ones") {
  shop_node syd{"syd"};
  shop_node one{"lax", {syd.address()}};
  shop_node two{"lax", {syd.address(), one.address()}};
  std::atomic<int> slow{0};
  for (auto* each : {&one, &two})
    each->rpc->serve(shop::shout, [&](std::string text) {
      if (text == "slow") {
        ++slow;
        std::this_thread::sleep_for(300ms);
      }
      return text;
    });
  for (auto* each : {&syd, &one, &two})
    REQUIRE_FALSE(each->node.join());
  REQUIRE(sees_endpoints(syd, 3));
  REQUIRE(sees_endpoints(one, 3));
  std::vector<std::future<caf::expected<std::string>>> running;
  for (int i = 0; i < 4; ++i)
    running.push_back(std::async(
        std::launch::async, [&] { return rpc_member(*syd.rpc, one.id(), shop::shout, "slow"); }));
  REQUIRE(eventually([&] { return slow == 4; }));

  auto leaving = std::async(std::launch::async, [&] { one.node.leave(); });
  std::vector<std::string> reasons;
  for (int i = 0; i < 200; ++i)
    for (auto* from : {&syd, &one}) // its own calls go elsewhere too
      if (auto value = rpc_region(from->rpc->with({.timeout = 2s}), "lax", shop::shout, "x");
          !value && leaving.wait_for(0ms) != std::future_status::ready)
        reasons.push_back(fly::to_string(value.error()));

  for (auto& each : running)
    CHECK(each.get());
  leaving.get();
  CAPTURE(reasons.empty() ? "" : reasons.front());
  CHECK(reasons.empty());
  CHECK(syd.node.members().size() == 2);
}

TEST_CASE("what a function returns of a call within is its own error: nobody else is asked") {
  shop_node syd{"syd"};
  shop_node one{"lax", {syd.address()}};
  shop_node two{"lax", {syd.address()}};
  std::atomic<int> ran{0};
  const auto of_other_calls = {
      make_error(errc::not_primary, "within"), make_error(errc::shutting_down, "within"),
      make_error(errc::overloaded, "within", {{rpc::not_started_detail, "1"}}),
      make_error(errc::database_unavailable, "within", {{rpc::not_started_detail, "1"}})};
  for (auto* each : {&one, &two})
    each->rpc->serve(shop::shout, [&](std::string text) -> caf::expected<std::string> {
      ++ran;
      auto reason = *(of_other_calls.begin() + (text[0] - '0'));
      if (text.size() > 1)
        throw reason;
      return reason;
    });
  for (auto* each : {&syd, &one, &two})
    REQUIRE_FALSE(each->node.join());
  REQUIRE(sees_endpoints(syd, 3));

  for (const auto* text : {"0", "1", "2", "3", "0 thrown", "1 thrown", "2 thrown", "3 thrown"}) {
    CAPTURE(text);
    ran = 0;
    auto failed = rpc_region(*syd.rpc, "lax", shop::shout, text);
    REQUIRE_FALSE(failed);
    CHECK(code_of(failed.error()) == code_of(*(of_other_calls.begin() + (text[0] - '0'))));
    CHECK(text_of(failed.error()) == "within");
    CHECK(effect_of(failed.error()) == effect::unknown);
    CHECK(ran == 1);
  }
}

TEST_CASE("a member whose pool is full is left for another one") {
  shop_node syd{"syd"};
  shop_node one{"lax", {syd.address()}, {.workers = 1, .queue_max = 1}};
  shop_node two{"lax", {syd.address()}};
  std::promise<void> release;
  std::atomic<int> begun{0};
  one.rpc->serve(shop::shout, [&begun, gate = release.get_future().share()](std::string text) {
    ++begun;
    gate.wait();
    return text;
  });
  two.rpc->serve(shop::shout, [](std::string text) { return text; });
  for (auto* each : {&syd, &one, &two})
    REQUIRE_FALSE(each->node.join());
  REQUIRE(sees_endpoints(syd, 3));
  std::vector<std::future<caf::expected<std::string>>> blocked; // one runs, one fills the queue
  for (std::size_t i = 1; i <= 2; ++i) {
    blocked.push_back(std::async(std::launch::async, [&] {
      return rpc_member(syd.rpc->with({.timeout = 30s}), one.id(), shop::shout, "block");
    }));
    // The first must have left the queue before the second fills it.
    REQUIRE(eventually([&] { return one.rpc->counts().serving == i && begun == 1; }));
  }
  CHECK(rpc_member(*syd.rpc, one.id(), shop::shout, "x").error() == errc::overloaded);

  for (int i = 0; i < 50; ++i) {
    auto value = rpc_region(syd.rpc->with({.timeout = 2s}), "lax", shop::shout, "x");
    CHECK_MESSAGE(value, fly::to_string(value ? caf::error{} : value.error()));
  }
  release.set_value();
  for (auto& each : blocked)
    CHECK(each.get());
}

TEST_CASE("a function that says overloaded itself is not asked again elsewhere") {
  shop_node syd{"syd"};
  shop_node one{"lax", {syd.address()}};
  shop_node two{"lax", {syd.address()}};
  std::atomic<int> runs{0};
  for (auto* each : {&one, &two})
    each->rpc->serve(shop::shout, [&](const std::string&) -> caf::expected<std::string> {
      ++runs;
      return make_error(errc::overloaded, "the user's own word");
    });
  for (auto* each : {&syd, &one, &two})
    REQUIRE_FALSE(each->node.join());
  REQUIRE(sees_endpoints(syd, 3));

  CHECK(rpc_region(*syd.rpc, "lax", shop::shout, "x").error() == errc::overloaded);
  CHECK(runs == 1);
}

TEST_CASE("calls of a member that leaves fail when its time is over") {
  shop_node syd{"syd"};
  shop_node lax{"lax", {syd.address()}};
  REQUIRE_FALSE(syd.node.join());
  REQUIRE_FALSE(lax.node.join());
  std::promise<void> release;
  std::atomic<bool> begun{false}; // one that waits for a thread would be refused instead
  lax.rpc->serve(shop::shout, [&begun, gate = release.get_future().share()](std::string text) {
    begun = true;
    gate.wait();
    return text;
  });
  REQUIRE(sees_endpoints(syd, 2));
  auto answer = std::async(std::launch::async, [&] {
    return rpc_region(syd.rpc->with({.timeout = 30s}), "lax", shop::shout, "hi");
  });
  REQUIRE(eventually([&] { return begun.load(); }));

  lax.node.leave();

  REQUIRE(answer.wait_for(5s) == std::future_status::ready);
  auto value = answer.get();
  CHECK(value.error() == errc::member_lost);
  CHECK(text_of(value.error()).find(lax.id()) != std::string::npos);
  release.set_value();
}

TEST_CASE("who has left ends its own waiting calls, and makes no more") {
  shop_node syd{"syd"};
  REQUIRE_FALSE(syd.node.join());
  auto waits = std::async(std::launch::async, [&] {
    return rpc_region(syd.rpc->with({.timeout = 30s}), "lax", shop::shout, "hi");
  });
  REQUIRE(eventually([&] { return syd.rpc->counts().waiting == 1; }));

  syd.node.leave();

  REQUIRE(waits.wait_for(5s) == std::future_status::ready);
  CHECK(waits.get().error() == errc::shutting_down);
  auto begun = std::chrono::steady_clock::now();
  CHECK(rpc_region(*syd.rpc, "lax", shop::shout, "hi").error() == errc::shutting_down);
  CHECK(rpc_region(*syd.rpc, "syd", shop::shout, "hi").error() == errc::shutting_down);
  CHECK(std::chrono::steady_clock::now() - begun < 3s); // of 5 s
}

TEST_CASE("a primary that refuses is left for another one") {
  shop_node one{"syd"};
  shop_node two{"syd", {one.address()}};
  shop_node lax{"lax", {one.address(), two.address()}};
  std::atomic<int> refusals{0};
  one.rpc->serve_raw("write", "()->str", {}, returning([&]() -> caf::expected<std::string> {
                       ++refusals;
                       return make_error(errc::not_primary, "read-only");
                     }));
  two.rpc->serve_raw("write", "()->str", {}, returning([] { return std::string{"two"}; }));
  for (auto* each : {&one, &two, &lax})
    REQUIRE_FALSE(each->node.join());
  REQUIRE(sees_endpoints(lax, 3));
  REQUIRE(sees_endpoints(one, 3));

  auto ask = [](shop_node& from) {
    return rpc::ask_raw(*from.rpc, rpc::target::primary(), "write", {}, rpc::bytes{});
  };
  for (int i = 0; i < 20; ++i)
    CHECK(*rpc::decode_result<std::string>(*ask(lax)) == "two");
  CHECK(refusals > 0);
  // The one that refuses asks itself first, then the other.
  CHECK(*rpc::decode_result<std::string>(*ask(one)) == "two");
}

TEST_CASE("where every primary refuses the call asks again until one does not") {
  shop_node syd{"syd"};
  shop_node lax{"lax", {syd.address()}};
  std::atomic<int> asked{0};
  syd.rpc->serve_raw("write", "()->str", {}, returning([&]() -> caf::expected<std::string> {
                       if (++asked < 5)
                         return make_error(errc::not_primary, "read-only");
                       return std::string{"done"};
                     }));
  REQUIRE_FALSE(syd.node.join());
  REQUIRE_FALSE(lax.node.join());
  REQUIRE(sees_endpoints(lax, 2));

  auto value = rpc::ask_raw(*lax.rpc, rpc::target::primary(), "write", {}, rpc::bytes{});
  CHECK(*rpc::decode_result<std::string>(*value) == "done");
  CHECK(asked == 5);

  asked = -1'000'000;
  auto quick = lax.rpc->with({.timeout = 200ms});
  auto refused = rpc::ask_raw(quick, rpc::target::primary(), "write", {}, rpc::bytes{});
  CHECK(refused.error() == errc::no_primary);
  CHECK(text_of(refused.error()).find("read-only") != std::string::npos);
}

TEST_CASE("an endpoint that closes sends new calls elsewhere and ends its own") {
  shop_node syd{"syd"};
  shop_node one{"lax", {syd.address()}};
  shop_node two{"lax", {syd.address()}};
  for (auto* each : {&one, &two})
    each->rpc->serve(shop::shout, [](std::string text) { return text; });
  for (auto* each : {&syd, &one, &two})
    REQUIRE_FALSE(each->node.join());
  REQUIRE(sees_endpoints(syd, 3));
  std::atomic<bool> stop{false};
  std::atomic<int> failed{0};
  std::atomic<int> done{0};
  std::string last_reason;
  std::thread caller{[&] {
    while (!stop) {
      if (auto value = rpc_region(*syd.rpc, "lax", shop::shout, "x"); !value) {
        ++failed;
        last_reason = fly::to_string(value.error());
      }
      ++done;
    }
  }};
  REQUIRE(eventually([&] { return done > 20; }));

  one.rpc.reset();
  auto before = done.load();
  CHECK(eventually([&] { return done > before + 20; }));
  stop = true;
  caller.join();

  CAPTURE(last_reason);
  CHECK(failed == 0);
}

TEST_CASE(
    "a member that has started anew is not left alone for what its predecessor left unanswered") {
  shop_node lax{"lax"};
  REQUIRE_FALSE(lax.node.join());
  struct machine {
    cluster::node node;
    rpc::endpoint rpc{node};
    machine(cluster::options options, std::string id)
        : node([&] { return options.machine_id = std::move(id), options; }()) {}
  };
  auto options = shop_options("syd", {lax.address()});
  machine before{options, "one"};
  before.rpc.serve(shop::shout, [](const rpc::call_context& context, std::string) {
    eventually([&] { return context.cancelled(); });
    return std::string{"before"};
  });
  REQUIRE_FALSE(before.node.join());
  REQUIRE(sees_endpoints(lax, 2));
  auto ask = [&](std::chrono::milliseconds timeout) {
    return rpc_region(lax.rpc->with({.timeout = timeout}), "syd", shop::shout, "");
  };
  for (int i = 0; i < 6; ++i) // for the last of them it is left alone for 8 s
    CHECK_FALSE(ask(20ms));
  machine other{options, "two"};
  other.rpc.serve(shop::shout, [](const std::string&) { return std::string{"other"}; });
  REQUIRE_FALSE(other.node.join());
  REQUIRE(sees_endpoints(lax, 3));

  machine after{options, "one"};
  after.rpc.serve(shop::shout, [](const std::string&) { return std::string{"after"}; });
  REQUIRE_FALSE(after.node.join());

  CHECK(eventually(
      [&] {
        auto who = ask(1s);
        return who && *who == "after";
      },
      4s));
}

TEST_CASE("the calls of an endpoint that is destroyed end with it") {
  shop_node syd{"syd"};
  REQUIRE_FALSE(syd.node.join());
  std::promise<void> release;
  std::atomic<bool> runs{false};
  syd.rpc->serve(shop::shout, [&, gate = release.get_future().share()](std::string text) {
    runs = true;
    gate.wait();
    return text;
  });
  std::vector<caf::error> reasons(2);
  std::atomic<int> ended{0};
  auto deadline = std::chrono::steady_clock::now() + 1h;
  for (int i = 0; i < 2; ++i)
    syd.rpc->start(rpc::target::region(i == 0 ? "syd" : "hkg"), "shop.shout", {},
                   *rpc::encode(std::string{}), deadline, [&, i](caf::expected<rpc::bytes> value) {
                     reasons[static_cast<std::size_t>(i)] = value.error();
                     ++ended;
                   });
  REQUIRE(eventually([&] { return runs.load(); }));
  std::thread opener{[&] {
    while (ended < 2)
      std::this_thread::sleep_for(1ms);
    release.set_value();
  }};

  syd.rpc.reset();
  opener.join();

  CHECK(reasons[0] == errc::member_lost); // it ran
  CHECK(reasons[1] == errc::shutting_down);
}
