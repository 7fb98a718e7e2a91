// Proves that functions which call functions of their own member make progress however many of them
// run, and what is said where they would take more threads than there may be.
#include <future>
#include <vector>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "shops.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;

namespace {

constexpr rpc::function<int(int)> leaf{"shop.leaf"};
constexpr rpc::function<int(int)> sum{"shop.sum"};

/// A member that calls itself: `sum` adds a leaf at each level.
struct bench {
  shop_node syd{"syd", {}, {.workers = 2}};

  explicit bench(rpc::serve_options of_leaf = {}) {
    syd.rpc->serve(leaf, of_leaf, [](int value) { return value; });
    syd.rpc->serve(sum, [this](int levels) -> caf::expected<int> {
      if (levels == 0)
        return 0;
      auto below = ask(sum, levels - 1);
      auto here = below ? ask(leaf, 1) : below;
      return here ? caf::expected<int>{*below + *here} : here;
    });
    REQUIRE_FALSE(syd.node.join());
  }

  caf::expected<int> ask(const rpc::function<int(int)>& f, int value) {
    return rpc_region(syd.rpc->with({.timeout = 1min}), "syd", f, value);
  }

  /// Returns how many of as many calls at a time have a result.
  int at_once(int calls) {
    std::vector<std::future<caf::expected<int>>> all;
    for (int i = 0; i < calls; ++i)
      all.push_back(std::async(std::launch::async, [this] { return ask(sum, 1); }));
    int good = 0;
    for (auto& each : all) {
      auto outcome = each.get();
      good += outcome && *outcome == 1 ? 1 : 0;
    }
    return good;
  }
};

} // namespace

TEST_CASE("more calls at a time than there are workers may call functions of the same member") {
  bench it;
  CHECK(it.at_once(20) == 20);
}

TEST_CASE("so may they where few calls of the inner function may run at a time") {
  bench it{{.running_max = 1}};
  CHECK(it.at_once(20) == 20);
}

TEST_CASE("calls within calls that would take more threads than there may be are refused at once") {
  bench it;
  CHECK(*it.ask(sum, 6) == 6); // seven threads, and one for the leaves

  auto refused = it.ask(sum, 1000);

  REQUIRE_FALSE(refused);
  CHECK(refused.error() == errc::overloaded);
  CHECK(text_of(refused.error()).find("calls within calls") != std::string::npos);
  CHECK(*it.ask(sum, 6) == 6);
}
