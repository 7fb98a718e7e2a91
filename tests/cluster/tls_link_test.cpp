// Proves encrypted links between real nodes: who belongs gets through, everybody else is refused
// within the handshake's time, with one line in the log, and nothing of them stays.
#include <algorithm>
#include <filesystem>
#include <string>
#include <thread>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "tests/cluster/certified.hpp"
#include "tests/cluster/nodes.hpp"
#include "tests/cluster/stranger.hpp"

using namespace std::chrono_literals;
using namespace fly::cluster;
using namespace fly::test;

namespace {

options tls_node(const std::string& region, const tls_files& files,
                 std::vector<std::string> peers = {}) {
  auto result = quick_node(region, std::move(peers));
  result.app = "shop";
  result.secret = "a secret";
  result.tls = files;
  return result;
}

std::size_t open_descriptors() {
  auto all = std::filesystem::directory_iterator{"/proc/self/fd"};
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

/// A node that nobody should get through to, and what it logs.
struct target {
  explicit target(const tls_files& files) {
    auto settings = tls_node("syd", files);
    settings.log = log.sink();
    it.emplace(settings);
    REQUIRE_FALSE(it->join());
  }

  /// Lets `settings` try for a while; returns whether it got through.
  bool lets_in(options settings, const std::string& expected) {
    settings.peers = {it->self().address};
    log_lines theirs;
    settings.log = theirs.sink();
    node other{settings};
    REQUIRE_FALSE(other.join());
    CHECK(eventually([&] { return log.count(expected) + theirs.count(expected) > 0; }));
    return other.members().size() + it->members().size() > 2;
  }

  log_lines log;
  std::optional<node> it;
};

} // namespace

TEST_CASE("members with certificates find each other and talk") {
  certified by;
  node syd{tls_node("syd", by.files("syd"))};
  REQUIRE_FALSE(syd.join());
  node lax{tls_node("lax", by.files("lax"), {syd.self().address})};
  auto heard = std::make_shared<memory_listener>();
  syd.listen(heard);
  REQUIRE_FALSE(lax.join());
  REQUIRE(eventually([&] { return sees(syd, 2) && sees(lax, 2); }));

  std::string large(300'000, 'x');
  auto channel = lax.channel_to(syd.self().id);
  REQUIRE(channel);
  for (const std::string& text : {std::string{"hello"}, large, std::string{"bye"}})
    CHECK_FALSE(channel->send(frame_kind{20}, std::as_bytes(std::span{text.data(), text.size()})));

  CHECK(eventually([&] { return heard->from(lax.self().id).size() == 3; }));
  CHECK(heard->from(lax.self().id) == std::vector<std::string>{"hello", large, "bye"});
  syd.unlisten(heard.get());
}

TEST_CASE("a wrong authority, an old certificate, another cluster's, none: refused with a reason") {
  certified by;
  certified foreign;
  target port{by.files("syd")};

  CHECK_FALSE(port.lets_in(tls_node("lax", foreign.files("lax")), "the peer's certificate"));
  auto plain = tls_node("lax", {});
  CHECK_FALSE(port.lets_in(plain, "does not speak TLS"));
  auto wrong_secret = tls_node("lax", by.files("lax"));
  wrong_secret.secret = "another";
  CHECK_FALSE(port.lets_in(wrong_secret, "wrong secret"));
}

TEST_CASE("a peer that is down is not taken for one without TLS") {
  certified by;
  auto plain = tls_node("syd", {});
  std::string address;
  {
    node was{plain};
    REQUIRE_FALSE(was.join());
    address = was.self().address;
  }
  log_lines log;
  auto settings = tls_node("lax", by.files("lax"), {address});
  settings.log = log.sink();
  node lax{settings};
  REQUIRE_FALSE(lax.join());
  std::this_thread::sleep_for(500ms); // some attempts

  CHECK(log.count("has the peer TLS?") == 0);
  plain.listen = address;
  auto is = join_again(plain);
  REQUIRE(is);
  CHECK(eventually([&] { return log.count("has the peer TLS?") > 0; }));
}

TEST_CASE("a node without TLS says so when one with TLS comes") {
  certified by;
  auto settings = tls_node("syd", {});
  log_lines log;
  settings.log = log.sink();
  node plain{settings};
  REQUIRE_FALSE(plain.join());
  node other{tls_node("lax", by.files("lax"), {plain.self().address})};
  REQUIRE_FALSE(other.join());

  CHECK(eventually([&] { return log.count("the peer speaks TLS") == 1; }));
  CHECK(plain.members().size() == 1);
}

TEST_CASE("a node does not begin with a certificate that is bound to another region or machine") {
  certified by;
  target port{by.files("syd")};
  auto refused = [](const options& settings, const std::string& expected) {
    auto problem = node{settings}.join();
    CHECK(problem == fly::errc::invalid_argument);
    return fly::text_of(problem).find(expected) != std::string::npos;
  };

  CHECK(refused(tls_node("lax", by.files("ams", {.regions = {"ams"}})), "the region 'lax'"));
  auto machine = tls_node("lax", by.files("m1", {.machines = {"m1"}}));
  machine.machine_id = "m2";
  CHECK(refused(machine, "the machine 'm2'"));
  machine.machine_id = "m1";
  machine.peers = {port.it->self().address};
  node good{machine};
  REQUIRE_FALSE(good.join());
  CHECK(eventually([&] { return sees(good, 2); }));
}

TEST_CASE("a silent peer and one that trickles are gone after the handshake's time") {
  certified by;
  target port{by.files("syd")};
  {
    stranger first{port.it->self().address};
    first.send("warm up");
    first.read_to_end();
  }
  auto before = open_descriptors();
  auto began = std::chrono::steady_clock::now();
  {
    stranger silent{port.it->self().address};
    stranger slow{port.it->self().address};
    std::jthread trickle{[&](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        slow.send("\x16");
        std::this_thread::sleep_for(20ms);
      }
    }};
    CHECK(silent.read_to_end() != "(open)");
    CHECK(slow.read_to_end() != "(open)");
  }
  auto took = std::chrono::steady_clock::now() - began;

  CHECK(took < 500ms + 3s); // handshake_timeout is 500 ms
  CHECK(eventually([&] { return open_descriptors() <= before; }));
}

TEST_CASE("new files are taken for new links, and bad ones change nothing") {
  certified by;
  auto files = by.files("syd");
  auto settings = tls_node("syd", files);
  log_lines log;
  settings.log = log.sink();
  node syd{settings};
  REQUIRE_FALSE(syd.join());
  certified next;

  by.write("syd.pem", "not a certificate");
  CHECK(syd.reload_tls() == fly::errc::invalid_argument);
  {
    node lax{tls_node("lax", by.files("lax"), {syd.self().address})};
    REQUIRE_FALSE(lax.join());
    CHECK(eventually([&] { return sees(lax, 2); }));
  }

  auto elsewhere = issue_certificate(by.authority(), {.app = "shop", .regions = {"ams"}});
  by.write("syd.pem", elsewhere->certificate);
  by.write("syd.key", elsewhere->key);
  CHECK(syd.reload_tls() == fly::errc::invalid_argument); // bound to another region

  auto made = issue_certificate(next.authority(), {.app = "shop"});
  by.write("syd.pem", made->certificate);
  by.write("syd.key", made->key);
  by.write("ca.pem", next.authority().certificate);
  CHECK_FALSE(syd.reload_tls());
  node ams{tls_node("ams", next.files("ams"), {syd.self().address})};
  REQUIRE_FALSE(ams.join());
  CHECK(eventually([&] { return sees(ams, 2); }));
}

TEST_CASE("a node that began without TLS has nothing to reload") {
  node plain{quick_node("syd")};

  CHECK(plain.reload_tls() == fly::errc::invalid_argument);
}
