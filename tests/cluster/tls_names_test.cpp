// Proves what the names in a certificate allow: a cluster, and a region or machine where it is
// bound.
#include <string>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/cluster/tls_names.hpp"

using namespace fly::cluster;

namespace {

member someone(const std::string& id, const std::string& region) {
  member result;
  result.id = id;
  result.region = region;
  return result;
}

} // namespace

TEST_CASE("a certificate that names the cluster alone lets anybody of it be anywhere") {
  tls_names names{{"shop.internal"}};

  CHECK_FALSE(names.allow("shop", someone("m1", "syd")));
  CHECK_FALSE(names.allow("shop", someone("host/127.0.0.1:4370", "local")));
  CHECK_FALSE(names.allow("Shop", someone("m1", "syd")));
}

TEST_CASE("a certificate of another cluster, or without names, is refused and told what it has") {
  auto other = tls_names{{"shop2.internal", "xshop.internal"}}.allow("shop", someone("m1", "syd"));
  CHECK(other == fly::errc::handshake_failed);
  CHECK(fly::text_of(other).find("shop.internal: it has shop2.internal, xshop.internal") !=
        std::string::npos);

  CHECK(tls_names{}.allow("shop", someone("m1", "syd")) == fly::errc::handshake_failed);
  CHECK(tls_names{{"*.internal"}}.allow("shop", someone("m1", "syd")) ==
        fly::errc::handshake_failed);
  CHECK(tls_names{{"syd.shop.internal"}}.allow("shop", someone("m1", "syd")) ==
        fly::errc::handshake_failed);
}

TEST_CASE("a certificate bound to regions is good in those alone") {
  tls_names names{{"shop.internal", "syd.shop.internal", "LAX.shop.internal"}};

  CHECK_FALSE(names.allow("shop", someone("m1", "syd")));
  CHECK_FALSE(names.allow("shop", someone("m1", "lax")));
  auto refused = names.allow("shop", someone("m1", "ams"));
  CHECK(refused == fly::errc::handshake_failed);
  CHECK(fly::text_of(refused).find("the region 'ams'") != std::string::npos);
}

TEST_CASE("a certificate bound to a machine is good for that one alone, in any region") {
  tls_names names{{"shop.internal", "148e21.vm.shop.internal"}};

  CHECK_FALSE(names.allow("shop", someone("148e21", "syd")));
  CHECK_FALSE(names.allow("shop", someone("148e21", "ams")));
  auto refused = names.allow("shop", someone("148e22", "syd"));
  CHECK(refused == fly::errc::handshake_failed);
  CHECK(fly::text_of(refused).find("the machine '148e22'") != std::string::npos);
}

TEST_CASE("names of others beside it bind nobody") {
  tls_names names{{"shop.internal", "www.example.org", "syd.other.internal", "a.b.shop.internal"}};

  CHECK_FALSE(names.allow("shop", someone("m1", "ams")));
}

TEST_CASE("a label of DNS has 1 to 63 letters, digits and '-'") {
  CHECK(is_dns_label("a"));
  CHECK(is_dns_label("148E21dad-7"));
  CHECK(is_dns_label(std::string(63, 'x')));
  CHECK_FALSE(is_dns_label(std::string(64, 'x')));
  CHECK_FALSE(is_dns_label(""));
  CHECK_FALSE(is_dns_label("a.b"));
  CHECK_FALSE(is_dns_label("a,DNS:evil"));
  CHECK_FALSE(is_dns_label("a b"));
}
