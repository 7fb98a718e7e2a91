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
