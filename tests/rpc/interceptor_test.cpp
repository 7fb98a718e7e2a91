// Proves for whom a function is served, by what the caller says of itself and by its certificate.
#include "fly/rpc/interceptor.hpp"

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/cluster/tls_names.hpp"
#include "shops.hpp"
#include "tests/cluster/certified.hpp"

using namespace fly;
using namespace fly::test;

TEST_CASE("a rule fits where all that it names does") {
  cluster::member who{.id = "148e", .region = "syd"};
  cluster::tls_names names{{"shop.internal", "SYD.shop.internal"}};
  rpc::call_context call{{}, who};

  CHECK(rpc::fits({}, call));
  CHECK(rpc::fits({.region = "syd"}, call));
  CHECK(rpc::fits({.region = "syd", .machine = "148e"}, call));
  CHECK_FALSE(rpc::fits({.region = "syd", .machine = "148"}, call));
  CHECK_FALSE(rpc::fits({.region = "lax", .machine = "148e"}, call));
  CHECK_FALSE(rpc::fits({.certificate = "shop.internal"}, call)); // not encrypted

  call.certificate = &names;
  CHECK(rpc::fits({.certificate = "shop.internal"}, call));
  CHECK(rpc::fits({.region = "syd", .certificate = "syd.Shop.internal"}, call));
  CHECK_FALSE(rpc::fits({.region = "lax", .certificate = "syd.shop.internal"}, call));
  CHECK_FALSE(rpc::fits({.certificate = "shop.interna"}, call));
  CHECK_FALSE(rpc::fits({.certificate = "lax.shop.internal"}, call));
}

TEST_CASE("over an encrypted link the certificate says who may call") {
  certified by;
  auto options = [&](const std::string& region, std::vector<std::string> peers = {}) {
    auto result = shop_options(region, std::move(peers));
    result.app = "shop";
    result.secret = "a secret";
    result.tls = by.files(region, {.regions = {region}});
    return result;
  };
  cluster::node syd{options("syd")};
  rpc::endpoint serves{syd};
  serves.serve(shop::shout, {.allow = {{.certificate = "lax.shop.internal"}}},
               [](std::string text) { return text; });
  REQUIRE_FALSE(syd.join());
  cluster::node lax{options("lax", {syd.self().address})};
  cluster::node hkg{options("hkg", {syd.self().address})};
  rpc::endpoint from_lax{lax};
  rpc::endpoint from_hkg{hkg};
  REQUIRE_FALSE(lax.join());
  REQUIRE_FALSE(hkg.join());

  auto may = rpc_region(from_lax, "syd", shop::shout, "hi");
  REQUIRE_MESSAGE(may, fly::to_string(may.error()));
  auto refused = rpc_region(from_hkg, "syd", shop::shout, "hi");
  REQUIRE_FALSE(refused);
  CHECK(refused.error() == errc::not_allowed);
  CHECK(rpc_region(serves, "syd", shop::shout, "own"));
}

TEST_CASE("what an interceptor makes of the outcome of a function never says that nothing ran") {
  caf::error after;
  caf::error before;
  rpc::server_interceptor turns = [&](const rpc::incoming_call&, const auto& next) {
    if (before)
      return caf::expected<rpc::bytes>{before};
    auto outcome = next();
    return after ? caf::expected<rpc::bytes>{after} : outcome;
  };
  shop_node syd{"syd"};
  shop_node lax{"lax", {syd.address()}, {.on_serve = {turns}}};
  std::atomic<int> ran{0};
  lax.rpc->serve(shop::shout, [&](const std::string& text) -> caf::expected<std::string> {
    ++ran;
    if (text == "fails")
      return make_error(errc::not_allowed, "by the function");
    return text;
  });
  for (auto* each : {&syd, &lax})
    REQUIRE_FALSE(each->node.join());
  REQUIRE(sees_endpoints(syd, 2));

  for (auto code : {errc::not_primary, errc::shutting_down, errc::overloaded, errc::not_allowed}) {
    CAPTURE(to_string(code));
    ran = 0;
    after = make_error(code, "of a call of the interceptor's own");
    auto heard = rpc_region(*syd.rpc, "lax", shop::shout, "hi");
    REQUIRE_FALSE(heard);
    CHECK(code_of(heard.error()) == code);
    CHECK(effect_of(heard.error()) == effect::unknown);
    CHECK(ran == 1);
  }
  after = {};
  CHECK(text_of(rpc_region(*syd.rpc, "lax", shop::shout, "fails").error()) == "by the function");
  ran = 0;
  before = make_error(errc::overloaded, "not now");
  CHECK(effect_of(rpc_region(*syd.rpc, "lax", shop::shout, "hi").error()) == effect::nothing_ran);
  CHECK(ran == 0);
}
