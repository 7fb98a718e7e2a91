// Proves what those who watch a node see: metrics whose labels stay few, readiness with its reason,
// the members; and that nobody listens where all the world could ask.
#include "fly/admin/server.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "fly/actors/error.hpp"
#include "fly/actors/supervisor.hpp"
#include "fly/repo/database.hpp"
#include "tests/apps/shell.hpp"
#include "tests/cluster/certified.hpp"
#include "tests/rpc/shops.hpp"
#include "tests/support/postgres.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

const admin::server_options any_port{.listen = "127.0.0.1:0"};

/// A member that is watched.
struct watched_node {
  watched_node() {
    REQUIRE_FALSE(syd.node.join());
    REQUIRE_FALSE(admin.start());
  }

  std::string port() const { return admin.address().substr(admin.address().rfind(':') + 1); }

  shop_node syd{"syd"};
  admin::server admin{syd.node, *syd.rpc, any_port};
};

std::string get(const admin::server& from, const std::string& path) {
  return shell("curl -s http://" + from.address() + path).text;
}

/// Returns the status code and the JSON of a page.
std::pair<int, json> page(const admin::server& from, const std::string& path) {
  auto text = shell("curl -s -w '%{http_code}' http://" + from.address() + path).text;
  REQUIRE(text.size() > 3);
  return {std::stoi(text.substr(text.size() - 3)), json::parse(text.substr(0, text.size() - 3))};
}

/// Returns the value of the metric `line`, name and labels; -1 where there is none.
double value_of(const std::string& metrics, const std::string& line) {
  std::istringstream lines{metrics};
  for (std::string each; std::getline(lines, each);)
    if (each.starts_with(line + " "))
      return std::stod(each.substr(line.size() + 1));
  return -1;
}

/// Prometheus' library writes labels in the order of their names.
std::string labels(const std::string& name, const char* side, const char* outcome,
                   const char* region) {
  return "{function=\"" + name + "\",outcome=\"" + outcome + "\",region=\"" + region +
         "\",side=\"" + side + "\"}";
}

std::string calls(const std::string& name, const char* side, const char* outcome,
                  const char* region) {
  return "fly_calls_total" + labels(name, side, outcome, region);
}

/// A node with a database of its own.
struct shop_with_database {
  explicit shop_with_database(const std::string& url)
      : node(shop_options("syd")), rpc(node), db(rpc, options_for(url)) {
    REQUIRE_FALSE(node.join());
  }

  static repo::options options_for(const std::string& url) {
    repo::options result;
    result.database_url = url;
    result.role_interval = 100ms;
    result.fresh_interval = 100ms;
    result.connect_timeout = 500ms;
    return result;
  }

  cluster::node node;
  rpc::endpoint rpc;
  repo::database db;
};

} // namespace

TEST_CASE("calls are counted by function, side, outcome and region") {
  shop_node syd{"syd"};
  shop_node lax{"lax", {syd.address()}};
  syd.rpc->serve(shop::shout, [](std::string text) {
    return text == "throw" ? throw std::runtime_error{"no"} : text;
  });
  REQUIRE_FALSE(syd.node.join());
  REQUIRE_FALSE(lax.node.join());
  REQUIRE(sees_endpoints(syd, 2));
  REQUIRE(sees_endpoints(lax, 2));
  admin::server at_syd{syd.node, *syd.rpc, any_port};
  admin::server at_lax{lax.node, *lax.rpc, any_port};
  REQUIRE_FALSE(at_syd.start());
  REQUIRE_FALSE(at_lax.start());

  for (int i = 0; i < 3; ++i)
    REQUIRE(rpc_region(*lax.rpc, "syd", shop::shout, "hello"));
  REQUIRE(rpc_primary(*lax.rpc, shop::shout, "hello"));
  REQUIRE(rpc_member(*lax.rpc, syd.id(), shop::shout, "hello"));
  REQUIRE_FALSE(rpc_region(*lax.rpc, "syd", shop::shout, "throw"));

  auto asked = get(at_lax, "/metrics");
  CHECK(value_of(asked, calls("shop.shout", "caller", "ok", "syd")) == 5);
  CHECK(value_of(asked, calls("shop.shout", "caller", "function_failed", "syd")) == 1);
  CHECK(value_of(asked, "fly_members{state=\"alive\"}") == 1);
  CHECK(value_of(asked, "fly_members{state=\"self\"}") == 1);
  CHECK(value_of(asked, "fly_links") == 1);
  CHECK(value_of(asked, "fly_unsent_bytes") >= 0);
  CHECK(value_of(asked, "fly_primaries") == 1);
  CHECK(value_of(asked, "fly_is_primary") == 0);
  CHECK_FALSE(has(asked, "fly_pool_connections")); // no database
  auto served = get(at_syd, "/metrics");
  CHECK(value_of(served, calls("shop.shout", "server", "ok", "lax")) == 5);
  CHECK(has(served, "# TYPE fly_call_duration_seconds histogram"));
  CHECK(value_of(served, "fly_call_duration_seconds_count" +
                             labels("shop.shout", "server", "ok", "lax")) == 5);
  CHECK(value_of(served, "fly_is_primary") == 1);
}

TEST_CASE("the end of a certificate can be watched, and that of a new one") {
  certified authority;
  auto settings = shop_options("syd");
  settings.app = "shop";
  settings.dns_server = "127.0.0.1:1"; // nobody
  settings.tls = authority.files("syd", {.when = {.lifetime = 24h}});
  cluster::node node{settings};
  rpc::endpoint rpc{node};
  REQUIRE_FALSE(node.certificate_end());
  REQUIRE_FALSE(node.join());
  admin::server at{node, rpc, any_port};
  REQUIRE_FALSE(at.start());
  auto end = [&] { return value_of(get(at, "/metrics"), "fly_certificate_not_after_seconds"); };
  auto now = static_cast<double>(std::time(nullptr));
  CHECK(end() > now + 23 * 3600);
  CHECK(end() < now + 25 * 3600);

  authority.files("syd", {.when = {.lifetime = 48h}});
  REQUIRE_FALSE(node.reload_tls());
  CHECK(end() > now + 47 * 3600);
  CHECK_FALSE(has(get(watched_node{}.admin, "/metrics"), "fly_certificate"));
}

TEST_CASE("every line of the metrics is as Prometheus wants it") {
  postgres servers;
  shop_with_database shop{servers.primary().url()};
  actors::supervisor tree{shop.node.system(), {}, {fly::rpc::child(shop.rpc)}};
  REQUIRE(tree.wait_started(5s));
  admin::server admin{shop.node, shop.rpc, shop.db, {.listen = "127.0.0.1:0", .tree = &tree}};
  REQUIRE_FALSE(admin.start());
  REQUIRE(eventually([&] { return page(admin, "/readyz").first == 200; }));
  REQUIRE(eventually([&] { return shop.db.role().role == repo::database_role::primary; }));
  rpc_primary(shop.rpc.with({.timeout = 50ms}), shop::shout, "nobody serves it");

  auto text = get(admin, "/metrics");

  const std::string label = R"re([a-z]+="[^"\\]*")re";
  const std::regex line{"(# (HELP|TYPE) fly_[a-z_]+ .+|fly_[a-z_]+(\\{" + label + "(," + label +
                        ")*\\})? [-+0-9.e]+(Inf)?)"};
  std::istringstream lines{text};
  for (std::string each; std::getline(lines, each);)
    CHECK_MESSAGE(std::regex_match(each, line), each);
  CHECK(value_of(text, "fly_database_up") == 1);
  CHECK(value_of(text, "fly_pool_connections{state=\"idle\"}") == 1);
  CHECK(value_of(text, "fly_pool_connections{state=\"busy\"}") == 0);
  CHECK(value_of(text, "fly_waiters") == 0);
  CHECK(value_of(text, "fly_supervisor_restarts_total{child=\"rpc\"}") == 0);
  CHECK_FALSE(has(text, "fly_replication_lag_seconds")); // a primary has none
  auto type =
      shell("curl -s -o /dev/null -w '%{content_type}' http://" + admin.address() + "/metrics");
  CHECK(type.text == "text/plain; version=0.0.4; charset=utf-8");
}

TEST_CASE("names that nobody serves and regions that nobody is in are counted as other") {
  shop_node syd{"syd"};
  REQUIRE_FALSE(syd.node.join());
  REQUIRE(sees_endpoints(syd, 1));
  admin::server admin{syd.node, *syd.rpc, any_port};
  REQUIRE_FALSE(admin.start());

  for (int i = 0; i < 100; ++i) {
    auto name = "made.up." + std::to_string(i);
    fly::rpc::function<void()> unknown{name.c_str()};
    CHECK(rpc_region(*syd.rpc, "syd", unknown).error() == errc::unknown_function);
    rpc_region(syd.rpc->with({.timeout = 1ms}), "region" + std::to_string(i), unknown);
  }

  auto text = get(admin, "/metrics");
  CHECK(value_of(text, calls("other", "caller", "unknown_function", "syd")) == 100);
  CHECK(value_of(text, calls("other", "server", "unknown_function", "syd")) == 100);
  CHECK(value_of(text, calls("other", "caller", "no_node_in_region", "other")) == 100);
  CHECK_FALSE(has(text, "made.up"));
  CHECK_FALSE(has(text, "region1"));
}

TEST_CASE("a node is ready while a primary is known and its database answers, and says why not") {
  postgres servers;
  servers.primary().stop();
  shop_with_database shop{servers.primary().url()};
  admin::server admin{shop.node, shop.rpc, shop.db, any_port};
  REQUIRE_FALSE(admin.start());

  auto [down, why] = page(admin, "/readyz");
  CHECK(down == 503);
  CHECK(why["ready"] == false);
  CHECK_FALSE(why["reason"].get<std::string>().empty());
  CHECK(page(admin, "/healthz").first == 200);

  servers.primary().start();
  CHECK(eventually([&] { return page(admin, "/readyz").first == 200; }));
  CHECK(page(admin, "/readyz").second == json{{"ready", true}});

  servers.primary().freeze();
  auto [frozen, text] = page(admin, "/readyz");
  servers.primary().thaw();
  CHECK(frozen == 503);
  CHECK(has(text["reason"], "the local database"));
}

TEST_CASE("the members are shown as flycluster status shows them") {
  shop_node syd{"syd"};
  REQUIRE_FALSE(syd.node.join());
  admin::server admin{syd.node, *syd.rpc, any_port};
  REQUIRE_FALSE(admin.start());

  auto [code, body] = page(admin, "/status");

  CHECK(code == 200);
  CHECK(body["seen_by"] == syd.id());
  REQUIRE(body["members"].size() == 1);
  CHECK(body["members"][0]["region"] == "syd");
  CHECK(body["members"][0]["state"] == "self");
  auto [missing, error] = page(admin, "/metric");
  CHECK(missing == 404);
  CHECK(has(error["error"], "/metrics"));
}

TEST_CASE("the admin port is bound to loopback or 6PN, once, and says what is wrong") {
  shop_node syd{"syd"};
  auto refusal = [&](const std::string& listen) {
    return admin::server{syd.node, *syd.rpc, {.listen = listen}}.start();
  };

  for (const char* listen : {"0.0.0.0:9100", "10.0.0.1:9100", "[::]:9100", "localhost:9100",
                             "127.0.0.1:http", "127.0.0.1:70000", "", "[fd00::1]:9100"}) {
    CAPTURE(listen);
    CHECK(refusal(listen) == errc::invalid_argument);
    CHECK(has(text_of(refusal(listen)), "admin address"));
  }
  CHECK(has(text_of(refusal("0.0.0.0:9100")), "must be loopback"));
  CHECK(refusal("[fdaa::1]:9100") == errc::cannot_listen); // 6PN: allowed, but not ours here
  admin::server first{syd.node, *syd.rpc, any_port};
  REQUIRE_FALSE(first.start());
  CHECK(first.start() == errc::invalid_argument); // once only
  CHECK(refusal(first.address()) == errc::cannot_listen);
  CHECK(has(text_of(refusal(first.address())), first.address()));
}

TEST_CASE_FIXTURE(watched_node,
                  "health is answered at once while a dozen clients say half of a request") {
  // None of them has to connect again, which kernels do after a second. A busy machine gets a
  // second and a third try.
  bool at_once = false;
  for (int i = 0; i < 3 && !at_once; ++i) {
    const auto began = std::chrono::steady_clock::now();
    auto health =
        shell("bash -c 'for i in $(seq 12); do exec {half}<>/dev/tcp/127.0.0.1/" + port() +
              "; printf \"GET /hea\" >&$half; done; curl -s -m 0.9 http://127.0.0.1:" + port() +
              "/healthz'");
    at_once =
        has(health.text, "\"healthy\":true") && std::chrono::steady_clock::now() - began < 900ms;
  }
  CHECK(at_once);
}

TEST_CASE_FIXTURE(watched_node,
                  "a request has a time in all: who says it byte by byte does not keep a thread") {
  // As many as there are threads; each says a byte every 0.2 s, for 6 s.
  auto health = shell("bash -c 'trap \"\" PIPE; all=(); for i in $(seq 16); do exec "
                      "{slow}<>/dev/tcp/127.0.0.1/" +
                      port() +
                      "; printf \"GET /healthz HTTP/1.1\\r\\nX: \" >&$slow; all+=($slow); done; "
                      "(for i in $(seq 30); do for each in ${all[@]}; do printf x >&$each; done "
                      "2>/dev/null; sleep 0.2; done) & "
                      "curl -s -m 3 http://127.0.0.1:" +
                      port() + "/healthz; kill $!'");

  CHECK(has(health.text, "\"healthy\":true"));
}

TEST_CASE_FIXTURE(watched_node, "a page of the admin port is read, and nothing else") {
  auto asked = [&](const std::string& flags, const std::string& path) {
    return shell("curl -s -i " + flags + " http://" + admin.address() + path).text;
  };

  for (const char* method : {"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"}) {
    CAPTURE(method);
    auto text = asked(std::string{"-X "} + method, "/healthz");
    CHECK(has(text, "HTTP/1.1 405"));
    CHECK(has(text, "Allow: GET, HEAD\r\n"));
    CHECK(has(asked(std::string{"-X "} + method + " -d x", "/metrics"), "HTTP/1.1 405"));
  }
  CHECK(has(asked("-X POST -d $(printf %02000d 0)", "/status"), "HTTP/1.1 405")); // and too large
  CHECK(has(asked("-I", "/healthz"), "HTTP/1.1 200"));
  CHECK(has(asked("-X POST", "/health"), "HTTP/1.1 404"));
}

TEST_CASE("an admin server can stop and start anew, also at once") {
  shop_node syd{"syd"};
  syd.rpc->serve(shop::shout, [](std::string text) { return text; });
  REQUIRE_FALSE(syd.node.join());
  for (int i = 0; i < 20; ++i) {
    admin::server admin{syd.node, *syd.rpc, any_port};
    REQUIRE_FALSE(admin.start());
    REQUIRE(rpc_region(*syd.rpc, "syd", shop::shout, "hello"));
    if (i % 2 == 0)
      CHECK(page(admin, "/healthz").first == 200);
    admin.stop();
    admin.stop();
  }
}
