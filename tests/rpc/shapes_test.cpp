// Proves the other shapes of a call between real nodes: without an answer, to many members, with
// interceptors around, for some callers only, with a trace, and with bounds of the function's own.
#include <atomic>
#include <future>
#include <mutex>
#include <set>

#include <caf/event_based_actor.hpp>
#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/rpc/admission.hpp"
#include "fly/rpc/each.hpp"
#include "shops.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;

namespace {

const std::string trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
constexpr rpc::function<std::string()> whose_trace{"shop.whose_trace"};
constexpr rpc::function<std::string()> relay{"shop.relay"};

struct two_shops {
  shop_node syd;
  shop_node lax;

  explicit two_shops(rpc::endpoint_options serves = {}, rpc::endpoint_options calls = {})
      : syd("syd", {}, std::move(serves)), lax("lax", {syd.address()}, std::move(calls)) {}

  /// Joins once all is served.
  void join() {
    REQUIRE_FALSE(syd.node.join());
    REQUIRE_FALSE(lax.node.join());
    REQUIRE(sees_endpoints(lax, 2));
    REQUIRE(sees_endpoints(syd, 2));
  }
};

} // namespace

TEST_CASE("a cast runs there or here, and nobody waits for it") {
  two_shops shops;
  std::atomic<int> ran{0};
  std::promise<void> release;
  auto gate = release.get_future().share();
  for (auto* each : {&shops.syd, &shops.lax})
    each->rpc->serve(shop::shout, [&ran, gate](std::string text) {
      gate.wait();
      ++ran;
      return text;
    });
  shops.join();

  CHECK_FALSE(rpc_cast(*shops.lax.rpc, rpc::target::region("syd"), shop::shout, "x"));
  CHECK_FALSE(rpc_cast(*shops.lax.rpc, rpc::target::region("lax"), shop::shout, "x"));

  CHECK(shops.lax.rpc->counts().in_flight == 0);
  CHECK(ran == 0);
  release.set_value();
  CHECK(eventually([&] { return ran == 2; }));
}

TEST_CASE("a cast is bounded: one that waits for a member counts, and one too many is refused") {
  shop_node alone{"lax", {}, {.calls_max = 2}};
  auto cast = [&] {
    return rpc_cast(alone.rpc->with({.timeout = 200ms}), rpc::target::region("syd"), shop::shout,
                    "x");
  };
  CHECK_FALSE(cast());
  CHECK_FALSE(cast());
  CHECK(cast() == errc::overloaded);

  CHECK(eventually([&] { return alone.rpc->counts().waiting == 0; })); // given up in time
}

TEST_CASE("every member of the cluster or of a region answers for itself") {
  two_shops shops;
  shops.syd.rpc->serve(shop::shout, [](std::string text) { return text + " from syd"; });
  shops.lax.rpc->serve(shop::shout, [](std::string) -> caf::expected<std::string> {
    return make_error(errc::invalid_argument, "not here");
  });
  shops.join();

  auto all = rpc_each(*shops.lax.rpc, shop::shout, "hi");
  REQUIRE(all);
  REQUIRE(all->size() == 2);
  CHECK((*all)[0].who.region == "lax");
  CHECK((*all)[0].outcome.error() == errc::invalid_argument);
  CHECK((*all)[1].who.id == shops.syd.id());
  CHECK(*(*all)[1].outcome == "hi from syd");

  auto some = rpc_each_in(*shops.lax.rpc, "syd", shop::shout, "hi");
  REQUIRE(some);
  CHECK(some->size() == 1);
  CHECK(rpc_each_in(*shops.lax.rpc, "hkg", shop::shout, "hi").error() == errc::no_node_in_region);
}

TEST_CASE("an actor hears of all members at once, at its deadline at the latest") {
  two_shops shops;
  std::promise<void> release;
  shops.syd.rpc->serve(shop::shout, [](std::string text) { return text; });
  shops.lax.rpc->serve(shop::shout, [gate = release.get_future().share()](std::string text) {
    gate.wait();
    return text;
  });
  shops.join();
  std::promise<std::vector<caf::error>> heard;

  shops.syd.node.system().spawn([&](caf::event_based_actor* self) {
    rpc_each(self, shops.syd.rpc->with({.timeout = 300ms}), shop::shout, "hi")
        .then(
            [&](std::vector<rpc::member_result<std::string>>& all) {
              std::vector<caf::error> reasons;
              for (auto& each : all)
                reasons.push_back(each.outcome ? caf::error{} : each.outcome.error());
              heard.set_value(std::move(reasons));
            },
            [&](caf::error& reason) { heard.set_value({reason}); });
  });

  auto reasons = heard.get_future().get();
  release.set_value();
  REQUIRE(reasons.size() == 2);
  CHECK(reasons[0] == errc::timeout);
  CHECK_FALSE(reasons[1]);
}

TEST_CASE("interceptors go around a function in their order, and may answer in its place") {
  std::mutex mutex;
  std::vector<std::string> seen;
  auto note = [&](std::string what) {
    std::lock_guard guard{mutex};
    seen.push_back(std::move(what));
  };
  auto around = [&](std::string who) -> rpc::server_interceptor {
    return [note, who](const rpc::incoming_call& call, const auto& next) {
      note(who + " before " + std::string{call.name});
      auto outcome = next();
      note(who + " after");
      return outcome;
    };
  };
  rpc::server_interceptor guard = [](const rpc::incoming_call& call,
                                     const auto& next) -> caf::expected<rpc::bytes> {
    std::string text;
    if (auto wrong = rpc::decode(errc::malformed_arguments, call.arguments, text))
      return wrong;
    if (text == "secret")
      return make_error(errc::not_allowed, "not that");
    return next();
  };
  two_shops shops{{.on_serve = {around("outer"), around("inner"), guard}}};
  shops.syd.rpc->serve(shop::shout, [&](std::string text) {
    note("run");
    return text + "!";
  });
  shops.join();

  CHECK(*rpc_region(*shops.lax.rpc, "syd", shop::shout, "hi") == "hi!");
  CHECK(seen == std::vector<std::string>{"outer before shop.shout", "inner before shop.shout",
                                         "run", "inner after", "outer after"});
  CHECK(rpc_region(*shops.lax.rpc, "syd", shop::shout, "secret").error() == errc::not_allowed);
}

TEST_CASE("the caller's interceptors see each call, may end it, and hear its outcome") {
  std::atomic<int> heard{0};
  rpc::caller_interceptor measure = [&](rpc::outgoing_call& call) {
    call.reply = [&heard, reply = std::move(call.reply)](caf::expected<rpc::bytes> outcome) {
      ++heard;
      reply(std::move(outcome));
    };
    return caf::error{};
  };
  rpc::caller_interceptor refuse = [](rpc::outgoing_call& call) {
    return call.name == shop::place.name ? make_error(errc::not_allowed, "not from here")
                                         : caf::error{};
  };
  rpc::caller_interceptor traced = [](rpc::outgoing_call& call) {
    call.traits.trace = trace;
    return caf::error{};
  };
  two_shops shops{{}, {.on_call = {measure, refuse, traced}}};
  shops.syd.rpc->serve(whose_trace,
                       [](const rpc::call_context& context) { return std::string{context.trace}; });
  shops.join();

  CHECK(*rpc_region(*shops.lax.rpc, "syd", whose_trace) == trace);
  CHECK(rpc_region(*shops.lax.rpc, "syd", shop::place, "pen", 1).error() == errc::not_allowed);
  CHECK(heard == 2);
}

TEST_CASE("an interceptor whose reply throws costs its caller the outcome, and no time") {
  rpc::caller_interceptor throws = [](rpc::outgoing_call& call) {
    call.reply = [reply = std::move(call.reply)](caf::expected<rpc::bytes>) {
      throw std::runtime_error{"oops"};
    };
    return caf::error{};
  };
  two_shops shops{{}, {.on_call = {throws}}};
  shops.syd.rpc->serve(shop::shout, [](std::string text) { return text; });
  shops.lax.rpc->serve(shop::shout, [](std::string text) { return text; });
  shops.join();
  auto patient = shops.lax.rpc->with({.timeout = 20s});
  auto began = std::chrono::steady_clock::now();

  for (const char* region : {"syd", "lax", "syd"}) { // answered on the I/O thread, and by a worker
    auto outcome = rpc_region(patient, region, shop::shout, "hi");
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error() == errc::function_failed);
    CHECK(text_of(outcome.error()) ==
          "shop.shout has run, but an interceptor of its caller threw: oops");
  }
  // What did not run is not said to have run.
  CHECK(rpc_region(patient, "syd", shop::close_day).error() == errc::unknown_function);
  CHECK(std::chrono::steady_clock::now() - began < 10s);
}

TEST_CASE("an interceptor that throws, or has an outcome and drops or keeps it, hangs nobody") {
  enum class what : std::uint8_t { throws, drops, keeps };
  std::atomic<what> does{what::throws};
  std::vector<rpc::raw_reply> kept;
  rpc::caller_interceptor careless = [&](rpc::outgoing_call& call) {
    if (does == what::throws)
      throw std::runtime_error{"oops"};
    if (does == what::keeps)
      kept.push_back(call.reply);
    call.reply = [](caf::expected<rpc::bytes>) {};
    return caf::error{};
  };
  two_shops shops{{}, {.on_call = {careless}}};
  shops.syd.rpc->serve(shop::shout, [](std::string text) { return text; });
  shops.join();
  auto hears = [&] {
    return rpc_region(shops.lax.rpc->with({.timeout = 1000ms}), "syd", shop::shout, "hi");
  };

  auto thrown = hears();
  CHECK(thrown == make_error(errc::invalid_argument));
  CHECK(text_of(thrown.error()) == "an interceptor threw before shop.shout was called: oops");
  does = what::drops;
  CHECK(hears() == make_error(errc::outcome_unknown));
  does = what::keeps;
  CHECK(hears() == make_error(errc::timeout));
  kept.clear(); // too late for anybody
}

TEST_CASE("a trace goes along, also to the calls that a function makes, and to own ones") {
  two_shops shops;
  for (auto* each : {&shops.syd, &shops.lax})
    each->rpc->serve(whose_trace,
                     [](const rpc::call_context& context) { return std::string{context.trace}; });
  shops.syd.rpc->serve(relay, [&]() -> caf::expected<std::string> {
    return rpc_region(*shops.syd.rpc, "lax", whose_trace);
  });
  shops.join();

  auto traced = shops.lax.rpc->with({.trace = trace});
  CHECK(*rpc_region(traced, "syd", whose_trace) == trace);
  CHECK(*rpc_region(traced, "lax", whose_trace) == trace);
  CHECK(*rpc_region(traced, "syd", relay) == trace);
  CHECK(rpc_region(*shops.lax.rpc, "syd", whose_trace)->empty());
  CHECK(rpc_region(shops.lax.rpc->with({.trace = "nonsense"}), "syd", whose_trace)->empty());
}

TEST_CASE("a function is served for those whom it allows, and for the own process") {
  two_shops shops;
  shops.syd.rpc->serve(shop::shout, {.allow = {{.region = "hkg"}, {.machine = shops.lax.id()}}},
                       [](std::string text) { return text; });
  shops.syd.rpc->serve(shop::close_day, {.allow = {{.region = "hkg"}, {.certificate = "a.b"}}},
                       [] {});
  shops.join();

  CHECK(rpc_region(*shops.lax.rpc, "syd", shop::shout, "x"));
  auto refused = rpc_region(*shops.lax.rpc, "syd", shop::close_day).error();
  CHECK(refused == errc::not_allowed);
  CHECK(text_of(refused).find("region hkg, or certificate a.b") != std::string::npos);
  CHECK(rpc_region(*shops.syd.rpc, "syd", shop::close_day));
}

TEST_CASE(
    "a function's own bound refuses at once with a hint, and leaves the others their workers") {
  two_shops shops{{.workers = 4}};
  std::promise<void> release;
  std::atomic<int> running{0};
  shops.syd.rpc->serve(shop::shout, {.running_max = 1, .queue_max = 1},
                       [&, gate = release.get_future().share()](std::string text) {
                         ++running;
                         gate.wait();
                         return text;
                       });
  shops.syd.rpc->serve(shop::close_day, [] {});
  shops.join();
  std::vector<std::future<caf::expected<std::string>>> calls;
  for (int i = 0; i < 2; ++i)
    calls.push_back(std::async(
        std::launch::async, [&] { return rpc_region(*shops.lax.rpc, "syd", shop::shout, "x"); }));
  REQUIRE(eventually([&] { return shops.syd.rpc->counts().serving == 2; }));

  auto reason = rpc_region(*shops.lax.rpc, "syd", shop::shout, "x").error();

  CHECK(reason == errc::overloaded);
  CHECK(details_of(reason).contains(rpc::retry_after_detail));
  CHECK(running == 1);
  CHECK(rpc_region(*shops.lax.rpc, "syd", shop::close_day));
  release.set_value();
  for (auto& each : calls)
    CHECK(each.get());
  CHECK(running == 2);
}
