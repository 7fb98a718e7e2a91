// Proves that whoever watches the calls hears of each exactly once, with its outcome and time, and
// that nobody pays for it where nobody watches.
#include "fly/rpc/call_observer.hpp"

#include <algorithm>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "shops.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;

namespace {

/// What was heard, as texts: "caller shop.shout ok". Safe from any thread.
class notes {
public:
  rpc::call_observer observer() {
    return [this](const rpc::call_report& ended) {
      std::string line = ended.whom != nullptr ? "caller " : "server ";
      line += std::string{ended.name} + " ";
      line += ended.reason ? to_string(code_of(ended.reason)) : "ok";
      std::lock_guard guard{mutex_};
      lines_.push_back(line);
      longest_ = std::max(longest_, ended.took);
      if (!ended.caller_region.empty())
        callers_ = ended.caller_region;
    };
  }
  std::size_t count(const std::string& line) const {
    std::lock_guard guard{mutex_};
    return static_cast<std::size_t>(std::count(lines_.begin(), lines_.end(), line));
  }
  std::size_t size() const {
    std::lock_guard guard{mutex_};
    return lines_.size();
  }
  std::chrono::steady_clock::duration longest() const {
    std::lock_guard guard{mutex_};
    return longest_;
  }
  std::string callers() const {
    std::lock_guard guard{mutex_};
    return callers_;
  }

private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
  std::chrono::steady_clock::duration longest_{0};
  std::string callers_;
};

struct two_watched_shops {
  notes at_syd;
  notes at_lax;
  shop_node syd{"syd"};
  shop_node lax{"lax", {syd.address()}};

  two_watched_shops() {
    syd.rpc->serve(shop::shout, [](std::string text) {
      if (text == "sleep")
        std::this_thread::sleep_for(30ms);
      if (text == "throw")
        throw std::runtime_error{"no"};
      return text;
    });
    REQUIRE_FALSE(syd.node.join());
    REQUIRE_FALSE(lax.node.join());
    REQUIRE(sees_endpoints(syd, 2));
    REQUIRE(sees_endpoints(lax, 2));
    syd.rpc->observe(at_syd.observer());
    lax.rpc->observe(at_lax.observer());
  }
};

} // namespace

TEST_CASE("both sides hear of a call once, with its outcome, its time, and where the caller is") {
  two_watched_shops shops;

  REQUIRE(rpc_region(*shops.lax.rpc, "syd", shop::shout, "sleep"));
  REQUIRE_FALSE(rpc_region(*shops.lax.rpc, "syd", shop::shout, "throw"));
  REQUIRE_FALSE(rpc_region(*shops.lax.rpc, "syd", shop::place, "pen", 1));

  CHECK(shops.at_lax.size() == 3);
  CHECK(shops.at_lax.count("caller shop.shout ok") == 1);
  CHECK(shops.at_lax.count("caller shop.shout function_failed") == 1);
  CHECK(shops.at_lax.count("caller shop.place unknown_function") == 1);
  CHECK(shops.at_lax.longest() >= 30ms);
  CHECK(shops.at_syd.size() == 3);
  CHECK(shops.at_syd.count("server shop.shout ok") == 1);
  CHECK(shops.at_syd.count("server shop.shout function_failed") == 1);
  CHECK(shops.at_syd.count("server shop.place unknown_function") == 1);
  CHECK(shops.at_syd.longest() >= 30ms);
  CHECK(shops.at_syd.callers() == "lax");
}

TEST_CASE(
    "a call of the own process is heard of on both sides, one that timed out on the caller's") {
  two_watched_shops shops;

  REQUIRE(rpc_region(*shops.syd.rpc, "syd", shop::shout, "here"));
  REQUIRE(rpc_region(shops.lax.rpc->with({.timeout = 50ms}), "ams", shop::shout, "").error() ==
          errc::no_node_in_region);

  CHECK(shops.at_syd.count("caller shop.shout ok") == 1);
  CHECK(shops.at_syd.count("server shop.shout ok") == 1);
  CHECK(shops.at_lax.count("caller shop.shout no_node_in_region") == 1);
}

TEST_CASE("an observer that was taken away hears nothing more, but of calls that it began with") {
  two_watched_shops shops;
  std::thread slow{[&] { rpc_region(*shops.lax.rpc, "syd", shop::shout, "sleep"); }};
  REQUIRE(eventually([&] { return shops.lax.rpc->counts().in_flight == 1; }));

  shops.lax.rpc->observe({});
  REQUIRE(rpc_region(*shops.lax.rpc, "syd", shop::shout, "later"));
  slow.join();

  CHECK(shops.at_lax.size() == 1);
}

TEST_CASE("a call ends for its caller though observers throw on both sides") {
  two_watched_shops shops;
  for (auto* each : {&shops.syd, &shops.lax})
    each->rpc->observe([](const rpc::call_report&) { throw std::runtime_error{"oops"}; });
  auto patient = shops.lax.rpc->with({.timeout = 20s});
  auto began = std::chrono::steady_clock::now();

  CHECK(rpc_region(patient, "syd", shop::shout, "hi"));
  CHECK(rpc_region(patient, "syd", shop::place, "pen", 1).error() == errc::unknown_function);

  CHECK(std::chrono::steady_clock::now() - began < 10s);
}

TEST_CASE("a reply goes through untouched where nobody watches") {
  rpc::observer_slot nobody;
  auto token = std::make_shared<int>(7);
  auto reply = nobody.of_caller(rpc::target::primary(), "shop.shout",
                                [token](caf::expected<rpc::bytes>) { ++*token; });

  reply(rpc::bytes{});

  CHECK(*token == 8);
}
