// Proves that what a user has written in the guestbook they can read in any region, with nothing
// but the cookie of their browser.
#include "apps/guestbook/http.hpp"

#include <memory>
#include <string>

#include <doctest/doctest.h>

#include <httplib.h>

#include <nlohmann/json.hpp>

#include "apps/guestbook/book.hpp"
#include "fly/actors/error.hpp"
#include "tests/apps/shell.hpp"
#include "tests/apps/three_regions.hpp"

using namespace fly::test;
using nlohmann::json;

namespace {

/// Each region's page.
struct pages {
  pages() {
    for (auto* it : {&cluster.syd(), &cluster.lax(), &cluster.ams()})
      guestbook::serve(it->rpc, it->db);
    REQUIRE(eventually([&] {
      return static_cast<bool>(fly::rpc_primary(cluster.lax().db, guestbook::create_tables));
    }));
    cluster.servers().wait_caught_up();
    for (auto* it : {&lax, &ams}) {
      it->port = free_port();
      it->server = std::make_unique<guestbook::http_server>(it->at.node, it->at.db);
      REQUIRE_FALSE(it->server->start("127.0.0.1:" + std::to_string(it->port)));
    }
  }

  struct page {
    region_node& at;
    int port = 0;
    std::unique_ptr<guestbook::http_server> server{};

    httplib::Result get(const std::string& cookie) const {
      httplib::Client client{"127.0.0.1", port};
      return client.Get("/entries", {{"Cookie", cookie}});
    }
    httplib::Result post(const std::string& text, const std::string& cookie) const {
      httplib::Client client{"127.0.0.1", port};
      return client.Post("/entries", {{"Cookie", cookie}},
                         json{{"author", "ann"}, {"text", text}}.dump(), "application/json");
    }
  };

  three_regions cluster;
  page lax{cluster.lax()};
  page ams{cluster.ams()};
};

std::string cookie_of(const httplib::Result& answer) {
  auto header = answer->get_header_value("Set-Cookie");
  return header.substr(0, header.find(';'));
}

bool shows(const httplib::Result& answer, const std::string& text) {
  REQUIRE(answer);
  REQUIRE_MESSAGE(answer->status == 200, answer->body);
  for (const auto& it : json::parse(answer->body))
    if (it["text"] == text)
      return true;
  return false;
}

} // namespace

TEST_CASE_FIXTURE(pages, "what a user has written they read in any region, with only the cookie") {
  cluster.servers().replica(1).pause_replay(); // ams is late
  auto written = lax.post("hello", "");
  REQUIRE(written);
  REQUIRE_MESSAGE(written->status == 201, written->body);
  auto cookie = cookie_of(written);
  CHECK(cookie.starts_with("guestbook=v1."));
  CHECK(written->get_header_value("Set-Cookie").find("HttpOnly") != std::string::npos);

  CHECK_FALSE(shows(ams.get(""), "hello")); // somebody else: as it comes
  auto there = ams.get("theme=dark; " + cookie);
  CHECK(shows(there, "hello"));
  CHECK(there->get_header_value("X-Read-At") == "machine-syd syd strong");
  CHECK_FALSE(there->has_header("X-Session-Problem"));
  CHECK(cookie_of(there).starts_with("guestbook=v1."));

  cluster.servers().replica(1).resume_replay();
  cluster.servers().wait_caught_up();
  auto here = ams.get(cookie);
  CHECK(shows(here, "hello"));
  CHECK(here->get_header_value("X-Read-At") == "machine-ams ams session");
}

TEST_CASE_FIXTURE(pages, "a cookie that was not made here is a fresh session, and is said") {
  auto forged = ams.get("guestbook=v1.7.1.0/1.0123456789abcdef0123456789abcdef");
  REQUIRE(forged);
  CHECK(forged->status == 200);
  CHECK(forged->get_header_value("X-Session-Problem").find("cookie guestbook") !=
        std::string::npos);

  // A position that no server will ever have: of a cluster with the same secret.
  auto foreign = cluster.ams().db.token({.system = 1, .timeline = 1, .lsn = fly::repo::lsn{1}});
  auto anew = ams.get("guestbook=" + foreign);
  REQUIRE(anew);
  CHECK(anew->status == 200);
  CHECK(anew->has_header("X-Session-Problem"));
  CHECK(shows(ams.get(cookie_of(anew)), "nothing") == false);
}

TEST_CASE_FIXTURE(pages, "who says a request byte by byte does not keep a thread of the page") {
  auto port = std::to_string(lax.port);

  // As many as there are threads; each says a byte every 0.2 s, for 8 s.
  auto answer = shell("bash -c 'trap \"\" PIPE; all=(); for i in $(seq 32); do exec "
                      "{slow}<>/dev/tcp/127.0.0.1/" +
                      port +
                      "; printf \"GET / HTTP/1.1\\r\\nX: \" >&$slow; all+=($slow); done; "
                      "(for i in $(seq 40); do for each in ${all[@]}; do printf x >&$each; done "
                      "2>/dev/null; sleep 0.2; done) & "
                      "curl -s -m 5 http://127.0.0.1:" +
                      port + "/; kill $!'");

  CHECK(has(answer.text, "<html"));
}

TEST_CASE("a guestbook whose options cannot be used ends with the reason") {
  auto started = [](const std::string& environment) {
    return shell(environment + " timeout 20 " + GUESTBOOK + " --http 127.0.0.1:0");
  };

  auto read_only = started("DATABASE_URL=postgresql:///app FLY_READ_ONLY=1");
  CHECK(read_only.code == 1);
  CHECK(has(read_only.text, "FLY_READ_ONLY"));
  auto nowhere = started("DATABASE_URL=mysql://host/app");
  CHECK(nowhere.code == 1);
  CHECK(has(nowhere.text, "database URL: it does not begin with"));
  auto unset = started("DATABASE_URL=");
  CHECK(unset.code == 1);
  CHECK(has(unset.text, "DATABASE_URL"));
}
