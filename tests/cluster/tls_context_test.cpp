// Proves that bad files of TLS are found when a node starts, each with an error that names option,
// file and reason; and what certificates of our own making hold.
#include <string>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/cluster/tls_context.hpp"
#include "tests/cluster/certified.hpp"

using namespace std::chrono_literals;
using namespace fly::cluster;
using namespace fly::test;

namespace {

/// Returns the error's text; it must be an invalid_argument.
std::string refusal_of(const tls_files& files, const std::string& app = "shop") {
  auto loaded = tls_context::load(files, app);
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error() == fly::errc::invalid_argument);
  return fly::text_of(loaded.error());
}

bool has(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("certificates of our own making are good, bound or not") {
  certified by;

  CHECK(tls_context::load(by.files("any"), "shop"));
  CHECK(tls_context::load(by.files("bound", {.regions = {"syd"}, .machines = {"148e21"}}), "shop"));
}

TEST_CASE("a missing option, file or content is named") {
  certified by;
  auto good = by.files("node");

  CHECK(has(refusal_of({good.certificate, "", good.authority}), "tls-key: TLS takes all"));
  CHECK(has(refusal_of({good.certificate, good.key, by.path("none")}), "tls-ca: '"));
  CHECK(has(refusal_of({good.certificate, good.key, by.path("none")}), "No such file"));
  CHECK(has(refusal_of({by.write("empty", ""), good.key, good.authority}), "is empty"));
  CHECK(has(refusal_of({by.write("text", "hello"), good.key, good.authority}),
            "holds no PEM certificate"));
  CHECK(
      has(refusal_of({good.certificate, by.write("text", "hello"), good.authority}), "tls-key: '"));
  CHECK(has(refusal_of({good.certificate, good.key, by.write("text", "hello")}), "tls-ca: '"));
  CHECK(has(refusal_of(good, ""), "app: TLS needs the cluster's name"));
}

TEST_CASE("an authority that ends first is named, and ends what it has signed") {
  certified by;
  auto now = std::chrono::system_clock::now();
  auto old = *make_authority("shop", {.from = now - 2h, .lifetime = 1h});
  auto brief = *make_authority("shop", {.from = now, .lifetime = 1h});
  auto signed_by = [&](const certified_key& authority) {
    auto made = issue_certificate(authority, {.app = "shop"});
    REQUIRE(made);
    return tls_files{by.write("x.pem", made->certificate), by.write("x.key", made->key),
                     by.write("x-ca.pem", authority.certificate)};
  };

  CHECK(has(refusal_of(signed_by(old)), "certificate has expired (its authority)"));
  auto loaded = tls_context::load(signed_by(brief), "shop");
  REQUIRE(loaded);
  CHECK((*loaded)->valid_until() <= now + 1h);
}

TEST_CASE("a key of another certificate is named") {
  certified by;
  auto one = by.files("one");
  auto two = by.files("two");

  CHECK(has(refusal_of({one.certificate, two.key, one.authority}), "does not belong to"));
}

TEST_CASE("a certificate that members would refuse is refused at the start") {
  certified by;
  certified other;
  auto now = std::chrono::system_clock::now();
  auto foreign = by.files("foreign");
  foreign.authority = other.path("ca.pem");

  CHECK(has(refusal_of(foreign), "would be refused by members that trust"));
  CHECK(has(refusal_of(by.files("old", {.when = {now - 2h, 1h}})), "has expired"));
  CHECK(has(refusal_of(by.files("new", {.when = {now + 2h, 1h}})), "is not valid yet"));
  CHECK(has(refusal_of(by.files("node"), "pool"),
            "among its DNS names must be pool.internal, and there are shop.internal"));
}

TEST_CASE("a request that cannot stand in a certificate is refused and named") {
  auto authority = *make_authority("shop", {});
  auto text = [&](const certificate_request& wanted) {
    auto made = issue_certificate(authority, wanted);
    REQUIRE_FALSE(made);
    CHECK(made.error() == fly::errc::invalid_argument);
    return fly::text_of(made.error());
  };

  CHECK(has(text({.app = ""}), "app: ''"));
  CHECK(has(text({.app = "shop", .regions = {"syd,DNS:evil"}}), "region: 'syd,DNS:evil'"));
  CHECK(has(text({.app = "shop", .machines = {"host/127.0.0.1"}}), "machine: 'host/127.0.0.1'"));
  CHECK(has(text({.app = "shop", .when = {.lifetime = 0s}}), "one minute to 20 years"));
  CHECK_FALSE(make_authority("a.b", {}));
}

TEST_CASE("an authority that is none, or whose key is another's, signs nothing") {
  auto authority = *make_authority("shop", {});
  auto other = *make_authority("shop", {});
  auto node = *issue_certificate(authority, {.app = "shop"});

  CHECK_FALSE(issue_certificate({authority.certificate, other.key}, {.app = "shop"}));
  CHECK_FALSE(issue_certificate({"text", authority.key}, {.app = "shop"}));
  CHECK_FALSE(issue_certificate({authority.certificate, "text"}, {.app = "shop"}));
  auto signed_by_node = issue_certificate(node, {.app = "shop"});
  REQUIRE_FALSE(signed_by_node);
  CHECK(has(fly::text_of(signed_by_node.error()), "may not sign others"));
}
