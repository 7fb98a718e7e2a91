// Proves, with real nodes over loopback, that functions run where they are asked for and that each
// call ends with a value or with an error that says what is known.
#include "fly/rpc/endpoint.hpp"

#include <atomic>
#include <future>
#include <stdexcept>
#include <thread>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/rpc/registry.hpp"
#include "shops.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;

namespace {

/// Two nodes, syd (the primary region) and lax, that see each other.
struct two_shops {
  shop_node syd;
  shop_node lax;

  explicit two_shops(rpc::endpoint_options options = {})
      : syd("syd", {}, options), lax("lax", {syd.address()}, options) {
    REQUIRE_FALSE(syd.node.join());
    REQUIRE_FALSE(lax.node.join());
    REQUIRE(sees_endpoints(syd, 2));
    REQUIRE(sees_endpoints(lax, 2));
  }
};

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("a function runs in the region that is named") {
  two_shops shops;
  shops.syd.rpc->serve(shop::shout, [](std::string text) { return text + " from syd"; });
  shops.lax.rpc->serve(shop::shout, {.on_io_thread = true},
                       [](const std::string& text) { return text + " from lax"; });

  CHECK(*rpc_region(*shops.lax.rpc, "syd", shop::shout, "hello") == "hello from syd");
  CHECK(*rpc_region(*shops.syd.rpc, "lax", shop::shout, "hello") == "hello from lax");
  CHECK(*rpc_region(*shops.lax.rpc, "lax", shop::shout, "hello") == "hello from lax");
  CHECK(*rpc_primary(*shops.lax.rpc, shop::shout, "hello") == "hello from syd");
  CHECK(*rpc_primary(shops.syd.rpc->with({.timeout = 2s}), shop::shout, "hello") ==
        "hello from syd");
  CHECK(*rpc_member(*shops.syd.rpc, shops.lax.id(), shop::shout, "hello") == "hello from lax");
  CHECK(*rpc_member(*shops.syd.rpc, shops.syd.id(), shop::shout, "hello") == "hello from syd");
}

TEST_CASE("arguments and results of the user's own types travel, and nothing does too") {
  two_shops shops;
  std::atomic<int> closed{0};
  shops.syd.rpc->serve(shop::place, [](std::string item, std::int32_t count) {
    return shop::order{7, std::move(item), count};
  });
  shops.syd.rpc->serve(shop::close_day, [&] { ++closed; });

  CHECK(*rpc_region(*shops.lax.rpc, "syd", shop::place, "pen", 2) == shop::order{7, "pen", 2});
  CHECK(rpc_region(*shops.lax.rpc, "syd", shop::close_day));
  CHECK(closed == 1);
}

TEST_CASE("the handler sees the deadline and the caller") {
  two_shops shops;
  shops.syd.rpc->serve(shop::shout, [](const rpc::call_context& context, std::string) {
    auto left = context.deadline - std::chrono::steady_clock::now();
    return context.caller.region + (left > 1s && left <= 2s ? " in time" : " at an odd time");
  });

  CHECK(*rpc_region(shops.lax.rpc->with({.timeout = 2s}), "syd", shop::shout, "") == "lax in time");
  CHECK(*rpc_region(shops.syd.rpc->with({.timeout = 2s}), "syd", shop::shout, "") == "syd in time");
}

TEST_CASE("an unknown name and other types are answered before anything runs") {
  two_shops shops;
  std::atomic<int> runs{0};
  shops.syd.rpc->serve(shop::shout, [&](std::string text) { return ++runs, text; });
  constexpr rpc::function<std::string(std::int32_t)> other_types{"shop.shout"};
  constexpr rpc::function<void()> unknown{"shop.unknown"};
  for (auto* from : {&shops.lax, &shops.syd}) { // remote and local alike
    auto mismatch = rpc_region(*from->rpc, "syd", other_types, 1);
    auto missing = rpc_region(*from->rpc, "syd", unknown);

    CHECK(mismatch.error() == errc::signature_mismatch);
    CHECK(has(text_of(mismatch.error()), "(str)->str"));
    CHECK(has(text_of(mismatch.error()), "(i32)->str"));
    CHECK(missing.error() == errc::unknown_function);
  }
  CHECK(runs == 0);
}

TEST_CASE("a call of what is no name of a function ends at once, and nothing ran") {
  two_shops shops;
  const std::string long_name(201, 'x');
  for (const char* name : {"", "a b", "x\ny", long_name.c_str()}) {
    const rpc::function<int(int)> wrong{name};

    auto outcome = rpc_region(*shops.lax.rpc, "syd", wrong, 1);

    REQUIRE_FALSE(outcome);
    CHECK(outcome.error() == errc::invalid_argument);
  }
}

TEST_CASE("a call by name alone runs whatever is served") {
  two_shops shops;
  shops.syd.rpc->serve(shop::shout, [](std::string text) { return text; });

  auto result = rpc::ask_raw(*shops.lax.rpc, rpc::target::region("syd"), "shop.shout", {},
                             rpc::encode(std::string{"raw"}));

  REQUIRE(result);
  CHECK(*rpc::decode_result<std::string>(*result) == "raw");
}

TEST_CASE("arguments that are not the function's are malformed, nothing ran") {
  two_shops shops;
  std::atomic<int> runs{0};
  shops.syd.rpc->serve(shop::shout, [&](std::string text) { return ++runs, text; });

  auto result = rpc::ask_raw(*shops.lax.rpc, rpc::target::region("syd"), "shop.shout", {},
                             rpc::bytes{'\xff'});

  CHECK(result.error() == errc::malformed_arguments);
  CHECK(runs == 0);
}

TEST_CASE("fault 19: a remote error arrives as itself, with type and text") {
  two_shops shops;
  shops.syd.rpc->serve(shop::shout, [](std::string text) -> caf::expected<std::string> {
    if (text == "throw")
      throw std::invalid_argument("division by zero");
    return make_error(errc::sql_failed, "duplicate key", {{"sqlstate", "23505"}});
  });
  for (auto* from : {&shops.lax, &shops.syd}) { // remote and local alike
    auto thrown = rpc_region(*from->rpc, "syd", shop::shout, "throw").error();
    auto returned = rpc_region(*from->rpc, "syd", shop::shout, "return").error();

    CHECK(thrown == errc::function_failed);
    CHECK(text_of(thrown) == "shop.shout threw std::invalid_argument: division by zero");
    CHECK(details_of(thrown).at("exception") == "std::invalid_argument");
    CHECK(returned == errc::sql_failed);
    CHECK(text_of(returned) == "duplicate key");
    CHECK(details_of(returned).at("sqlstate") == "23505");
  }
}

TEST_CASE("what a function returns never says that it did not run") {
  two_shops shops;
  shops.syd.rpc->serve(shop::shout, [](const std::string& text) -> caf::expected<std::string> {
    auto code = static_cast<errc>(std::stoi(text));
    return make_error(code, "told", {{rpc::not_served_detail, "1"}});
  });
  for (auto* from : {&shops.lax, &shops.syd})
    for (auto code : {errc::invalid_argument, errc::no_node_in_region, errc::signature_mismatch,
                      errc::shutting_down, errc::not_found, errc::member_lost}) {
      auto told = rpc_region(*from->rpc, "syd", shop::shout, std::to_string(static_cast<int>(code)))
                      .error();
      CHECK(told == code);
      CHECK(text_of(told) == "told");
      CHECK(effect_of(told) == effect::unknown);
      CHECK(details_of(told) == error_details{{returned_detail, "1"}});
    }
}

TEST_CASE("a call waits for a member that joins later") {
  shop_node syd{"syd"};
  REQUIRE_FALSE(syd.node.join());
  auto answer = std::async(std::launch::async,
                           [&] { return rpc_region(*syd.rpc, "hkg", shop::shout, "hi"); });
  REQUIRE(eventually([&] { return syd.rpc->counts().waiting == 1; }));

  shop_node hkg{"hkg", {syd.address()}};
  hkg.rpc->serve(shop::shout, [](std::string text) { return text + "!"; });
  REQUIRE_FALSE(hkg.node.join());

  auto value = answer.get();
  REQUIRE(value);
  CHECK(*value == "hi!");
}

TEST_CASE("fault 20: a node that is there before its endpoint is not lost") {
  shop_node syd{"syd"};
  cluster::node hkg{shop_options("hkg", {syd.address()})};
  REQUIRE_FALSE(syd.node.join());
  REQUIRE_FALSE(hkg.join());
  REQUIRE(eventually([&] { return syd.node.members().size() == 2; }));
  auto answer = std::async(std::launch::async,
                           [&] { return rpc_region(*syd.rpc, "hkg", shop::shout, "hi"); });
  REQUIRE(eventually([&] { return syd.rpc->counts().waiting == 1; }));

  rpc::endpoint late{hkg};
  late.serve(shop::shout, [](std::string text) { return text + "!"; });

  // The call may find the endpoint before the function: then it is told so, and nothing ran.
  auto value = answer.get();
  CHECK((value ? *value == "hi!" : value.error() == errc::unknown_function));
  CHECK(eventually([&] {
    auto again = rpc_region(*syd.rpc, "hkg", shop::shout, "hi");
    return again && *again == "hi!";
  }));
}

TEST_CASE("fault 7: while no primary is known a call waits for one") {
  shop_node lax{"lax"};
  REQUIRE_FALSE(lax.node.join());
  auto answer =
      std::async(std::launch::async, [&] { return rpc_primary(*lax.rpc, shop::shout, "hi"); });
  REQUIRE(eventually([&] { return lax.rpc->counts().waiting == 1; }));
  CHECK(answer.wait_for(300ms) == std::future_status::timeout);

  shop_node syd{"syd", {lax.address()}};
  syd.rpc->serve(shop::shout, [](std::string text) { return text + "!"; });
  REQUIRE_FALSE(syd.node.join());

  auto value = answer.get();
  REQUIRE(value);
  CHECK(*value == "hi!");
}

TEST_CASE("without a member the error says which regions are seen") {
  two_shops shops;
  auto quick = shops.lax.rpc->with({.timeout = 150ms});
  caf::error reason;

  auto took = time_of([&] { reason = rpc_region(quick, "hkg", shop::shout, "hi").error(); });

  CHECK(took >= 150ms);
  CHECK(took < 3s);
  CHECK(reason == errc::no_node_in_region);
  CHECK(has(text_of(reason), "hkg"));
  CHECK(has(text_of(reason), "lax (1), syd (1)"));
  CHECK(rpc_member(quick, "nobody", shop::shout, "hi").error() == errc::no_such_member);
  CHECK(shops.lax.rpc->counts().waiting == 0);
}

TEST_CASE("without a primary the error is no_primary") {
  shop_node lax{"lax"};
  REQUIRE_FALSE(lax.node.join());

  auto reason = rpc_primary(lax.rpc->with({.timeout = 100ms}), shop::shout, "hi").error();

  CHECK(reason == errc::no_primary);
  CHECK(has(text_of(reason), "lax (1)"));
}

TEST_CASE("two threads with a thousand calls each get their own answers") {
  two_shops shops;
  shops.syd.rpc->serve(shop::shout, [](std::string text) { return text + "!"; });
  std::atomic<int> right{0};
  auto ask = [&](const std::string& who) {
    for (int i = 0; i < 1000; ++i) {
      auto text = who + std::to_string(i);
      auto loud = rpc_region(*shops.lax.rpc, "syd", shop::shout, text);
      right += loud && *loud == text + "!" ? 1 : 0;
    }
  };

  std::thread one{ask, "a"};
  std::thread two{ask, "b"};
  one.join();
  two.join();

  CHECK(right == 2000);
  CHECK(shops.lax.rpc->counts().in_flight == 0);
}

TEST_CASE("64 KiB travel, and what is above the bound of a frame says so") {
  two_shops shops;
  shops.syd.rpc->serve(shop::shout, [](std::string text) {
    return text == "large" ? std::string(300 * 1024, 'x') : text;
  });
  std::string wide(64 * 1024, 'w');

  CHECK(*rpc_region(*shops.lax.rpc, "syd", shop::shout, wide) == wide);
  auto arguments = rpc_region(*shops.lax.rpc, "syd", shop::shout, std::string(300 * 1024, 'x'));
  CHECK(arguments.error() == errc::frame_too_large);
  auto result = rpc_region(*shops.lax.rpc, "syd", shop::shout, "large");
  CHECK(result.error() == errc::malformed_result);
  CHECK(has(text_of(result.error()), "262144"));
}

TEST_CASE("a call that takes too long ends at its own deadline, and its late answer is dropped") {
  two_shops shops;
  std::promise<void> release;
  std::atomic<int> ended{0};
  shops.syd.rpc->serve(shop::shout, [&, gate = release.get_future().share()](std::string text) {
    if (text == "slow")
      gate.wait();
    ++ended;
    return text;
  });
  caf::error reason;

  auto took = time_of([&] {
    reason =
        rpc_region(shops.lax.rpc->with({.timeout = 100ms}), "syd", shop::shout, "slow").error();
  });

  CHECK(reason == errc::timeout);
  CHECK(has(text_of(reason), shops.syd.id()));
  CHECK(took >= 100ms);
  CHECK(took < 3s);
  release.set_value();
  CHECK(eventually([&] { return ended == 1; }));
  CHECK(*rpc_region(*shops.lax.rpc, "syd", shop::shout, "next") == "next");
  CHECK(shops.lax.rpc->counts().in_flight == 0);
}

TEST_CASE("a call whose caller has given up never starts") {
  two_shops shops{{.workers = 1}};
  std::promise<void> release;
  std::atomic<int> runs{0};
  shops.syd.rpc->serve(shop::shout, [&, gate = release.get_future().share()](std::string text) {
    ++runs;
    gate.wait();
    return text;
  });
  auto first = std::async(std::launch::async,
                          [&] { return rpc_region(*shops.lax.rpc, "syd", shop::shout, ""); });
  REQUIRE(eventually([&] { return runs == 1; }));

  auto quick = shops.lax.rpc->with({.timeout = 300ms});
  CHECK(rpc_region(quick, "syd", shop::shout, "").error() == errc::timeout);
  // The own queue is known: there the error can say that nothing ran.
  auto own = shops.syd.rpc->with({.timeout = 300ms});
  CHECK(rpc_region(own, "syd", shop::shout, "").error() == errc::expired);
  release.set_value();

  CHECK(first.get());
  CHECK(eventually([&] { return shops.syd.rpc->counts().serving == 0; }));
  CHECK(runs == 1);
}

TEST_CASE("a full member and a full caller say so at once") {
  two_shops shops{{.workers = 1, .queue_max = 1, .calls_max = 3}};
  std::promise<void> release;
  std::atomic<int> runs{0};
  shops.syd.rpc->serve(shop::shout, [&, gate = release.get_future().share()](std::string text) {
    ++runs;
    gate.wait();
    return text;
  });
  std::vector<std::future<caf::expected<std::string>>> answers;
  auto call = [&] {
    answers.push_back(std::async(
        std::launch::async, [&] { return rpc_region(*shops.lax.rpc, "syd", shop::shout, ""); }));
  };
  call();
  REQUIRE(eventually([&] { return runs == 1; }));
  call();
  REQUIRE(eventually([&] { return shops.syd.rpc->counts().serving == 2; }));

  CHECK(rpc_region(*shops.lax.rpc, "syd", shop::shout, "").error() == errc::overloaded);
  answers.push_back(std::async(std::launch::async, [&] {
    return rpc_region(shops.lax.rpc->with({.timeout = 2000ms}), "hkg", shop::shout, "");
  }));
  REQUIRE(eventually([&] { return shops.lax.rpc->counts().waiting == 1; }));
  auto reason = rpc_region(*shops.lax.rpc, "syd", shop::shout, "").error();
  CHECK(reason == errc::overloaded);
  CHECK(has(text_of(reason), "3 calls"));
  release.set_value();
  CHECK(answers[0].get());
  CHECK(answers[1].get());
}

TEST_CASE("a name is served once, and names of fly are not for users") {
  shop_node syd{"syd"};
  CHECK_FALSE(syd.rpc->serve(shop::shout, [](std::string text) { return text; }));
  CHECK(syd.rpc->serve(shop::shout, [](std::string text) { return text; }) == errc::already_served);
  constexpr rpc::function<void()> reserved{"fly.own"};
  CHECK(syd.rpc->serve(reserved, [] {}) == errc::invalid_argument);

  CHECK(*rpc_region(*syd.rpc, "syd", shop::shout, "x") == "x"); // before the node has joined
  syd.rpc->unserve("shop.shout");
  CHECK(rpc_region(*syd.rpc, "syd", shop::shout, "x").error() == errc::unknown_function);
}

TEST_CASE("a node has one endpoint at a time: a second one is refused and harms nobody") {
  two_shops shops;
  shops.syd.rpc->serve(shop::shout, [](std::string text) { return text + " from syd"; });
  auto calls_both_ways = [&] {
    for (int i = 0; i < 100; ++i) // the second one would answer half of them
      if (!rpc_region(*shops.lax.rpc, "syd", shop::shout, "hello"))
        return false;
    return rpc_region(*shops.syd.rpc, "syd", shop::shout, "hello") == "hello from syd";
  };
  {
    rpc::endpoint second{shops.syd.node};

    CHECK(second.serve(shop::close_day, [] {}) == errc::invalid_argument);
    auto refused = rpc_region(second, "lax", shop::shout, "hello");
    CHECK(refused == make_error(errc::invalid_argument));
    CHECK(has(text_of(refused.error()), "another endpoint"));
    CHECK(second.actor(shops.lax.id(), "cart") == make_error(errc::invalid_argument));
    CHECK(second.publish("cart", {}) == errc::invalid_argument);
    CHECK(calls_both_ways());
  }

  CHECK(sees_endpoints(shops.lax, 2)); // its end has taken nothing away
  CHECK(calls_both_ways());

  shops.syd.rpc.reset();
  shops.syd.rpc = std::make_unique<rpc::endpoint>(shops.syd.node);
  CHECK_FALSE(shops.syd.rpc->serve(shop::shout, [](std::string text) { return text + " again"; }));
  CHECK(rpc_region(*shops.lax.rpc, "syd", shop::shout, "hello") == "hello again");
}
