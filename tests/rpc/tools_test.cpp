// Proves that a tool calls a function by its name and JSON alone.
#include "fly/rpc/tools.hpp"

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "shops.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;

TEST_CASE("a tool calls by name and JSON, as a visitor of the cluster") {
  shop_node syd{"syd"};
  syd.rpc->serve(shop::place, [](std::string item, std::int32_t count) {
    return shop::order{7, std::move(item), count};
  });
  syd.rpc->serve(shop::close_day, [] {});
  REQUIRE_FALSE(syd.node.join());
  auto options = shop_options("syd", {syd.address()}); // the same region: still not run in the tool
  options.observer = true;
  cluster::node visitor{options};
  rpc::endpoint tool{visitor};
  REQUIRE_FALSE(visitor.join());
  auto whom = rpc::target::region("syd");

  auto order = rpc::call_json(tool, whom, "shop.place", R"(["pen", 2])");
  REQUIRE(order);
  CHECK(*order == R"([7,"pen",2])");
  CHECK(*rpc::call_json(tool, rpc::target::primary(), "shop.close_day", "[]") == "null");

  CHECK(rpc::call_json(tool, whom, "shop.place", R"(["pen", "two"])").error() ==
        errc::invalid_argument);
  CHECK(rpc::call_json(tool, whom, "shop.unknown", "[]").error() == errc::unknown_function);
  auto keyed = rpc::call_json(tool, whom, "shop.place", R"(["pen", 2])", "cart-17");
  CHECK(keyed.error() == errc::invalid_argument);
  CHECK(text_of(keyed.error()).find("is no write") != std::string::npos);
  auto quick = tool.with({.timeout = 100ms});
  CHECK(rpc::call_json(quick, rpc::target::region("hkg"), "shop.place", "[]").error() ==
        errc::no_node_in_region);
}

TEST_CASE("an endpoint says what it serves") {
  shop_node syd{"syd"};
  syd.rpc->serve(shop::shout, [](std::string text) { return text; });

  auto served = rpc_region(*syd.rpc, "syd", rpc::describe);

  REQUIRE(served);
  CHECK(served->at("shop.shout") == "(str)->str");
  CHECK(served->at("fly.describe") == "()->{str:str}");
  CHECK(*served == syd.rpc->served());
}
