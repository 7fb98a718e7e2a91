// Proves whole nodes without sockets, in virtual time: what listeners hear and in which order, that
// a node knows itself behind another address, in what pieces answers leave, and what a partition
// and its end do.
#include "fly/cluster/mesh.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/cluster/wire.hpp"
#include "tests/cluster/certified.hpp"
#include "tests/cluster/fake_network.hpp"
#include "tests/cluster/nodes.hpp"

using namespace std::chrono_literals;
using namespace fly::cluster;
using namespace fly::test;
using fly::errc;

namespace {

/// Writes down in which order it hears things.
struct order_listener : listener {
  void on_frame(const std::shared_ptr<channel>&, frame_kind, std::span<const std::byte>) override {
    heard.emplace_back("frame");
  }
  void on_link_down(const std::shared_ptr<channel>& which, const caf::error& reason) override {
    CHECK(reason);
    CHECK_FALSE(which->is_open());
    heard.emplace_back("down");
  }
  void on_change() override { heard.emplace_back("change"); }

  std::vector<std::string> heard;
};

/// Sends back what it hears.
struct echo_listener : listener {
  void on_frame(const std::shared_ptr<channel>& from, frame_kind kind,
                std::span<const std::byte> payload) override {
    from->send(kind, payload);
  }
  void on_link_down(const std::shared_ptr<channel>&, const caf::error&) override {}
  void on_change() override {}
};

/// Two nodes with a link.
struct linked_pair {
  linked_pair() {
    b.links->on_addresses({"a:1"});
    net.pass(1s);
  }

  network net;
  fake_node a{net, "a", "syd"};
  fake_node b{net, "b", "lax"};
};

} // namespace

TEST_CASE("three nodes that know one of them find that one, and all if they know all") {
  network net;
  fake_node a{net, "a", "syd"};
  fake_node b{net, "b", "lax"};
  fake_node c{net, "c", "ams"};
  for (auto* node : {&a, &b, &c})
    node->links->on_addresses({"a:1", "b:1", "c:1"});

  net.pass(1s);

  for (auto* node : {&a, &b, &c}) {
    CHECK(node->sees(3));
    CHECK(node->links->size() == 2);
    CHECK(node->read().primary.group.front().id == "a");
  }
}

TEST_CASE("a node behind another address knows itself and dials there no more") {
  network net;
  fake_node a{net, "a", "syd"};
  net.listening["alias:1"] = &a;
  a.links->on_addresses({"alias:1"});

  net.pass(30s);

  CHECK(net.dials == 1);
  CHECK(a.links->size() == 0);
  CHECK(a.log.count("") == 0); // not a word
}

TEST_CASE("a peer whose certificate is bound to another region or machine is refused") {
  certified by;
  auto bound = [&](const std::string& name, certificate_request to) {
    return *tls_context::load(by.files(name, std::move(to)), "shop");
  };
  network net;
  fake_node syd{net, "syd-1", "syd", bound("syd", {})};
  fake_node lax{net, "lax-1", "lax", bound("lax", {.regions = {"lax"}, .machines = {"lax-1"}})};
  fake_node liar{net, "liar", "lax", bound("ams", {.regions = {"ams"}})};
  fake_node thief{net, "thief", "lax", bound("m1", {.machines = {"m1"}})};
  for (auto* node : {&lax, &liar, &thief})
    node->links->on_addresses({"syd-1:1"});

  net.pass(3s);

  CHECK(syd.sees(2));
  CHECK(lax.sees(2));
  CHECK(liar.read().views.size() == 1);
  CHECK(thief.read().views.size() == 1);
  CHECK(syd.log.count("not for the region 'lax'") > 0);
  CHECK(syd.log.count("not for the machine 'thief'") > 0);
}

TEST_CASE("where nobody is reached nothing is said of TLS") {
  certified by;
  network net;
  fake_node syd{net, "syd", "syd", *tls_context::load(by.files("syd"), "shop")};
  syd.links->on_addresses({"nobody:1"});

  net.pass(3s);

  CHECK(net.dials > 1);
  CHECK(syd.log.count("TLS") == 0);
}

TEST_CASE("the end of a certificate is told before, and after") {
  certified by;
  auto ends = std::chrono::system_clock::now() + 24h * 30;
  network net;
  fake_node syd{net, "syd", "syd",
                *tls_context::load(by.files("syd", {.when = {.lifetime = 24h * 30}}), "shop")};
  auto tick = [&](std::chrono::hours before) {
    syd.links->tick(net.now += 250ms, ends - before);
    return std::pair{syd.log.count("warning: this node's certificate"),
                     syd.log.count("error: this node's certificate has expired")};
  };
  using counts = std::pair<std::size_t, std::size_t>;

  CHECK(tick(24h * 30) == counts{0, 0});
  CHECK(tick(24h * 15) == counts{0, 0});
  CHECK(tick(24h * 13) == counts{1, 0});
  CHECK(tick(24h * 13 - 1h) == counts{1, 0});
  CHECK(tick(24h * 11) == counts{2, 0});
  CHECK(syd.log.count("expires in 11 days") + syd.log.count("expires in 10 days") == 1);
  CHECK(tick(-1h) == counts{2, 1});
  CHECK(tick(-1h) == counts{2, 1});
  CHECK(tick(-3h) == counts{2, 2});
  syd.links->set_tls(*tls_context::load(by.files("new", {.when = {.lifetime = 24h * 90}}), "shop"));
  CHECK(tick(-4h) == counts{2, 2});
}

TEST_CASE("strangers from everywhere fill no log") {
  network net;
  fake_node syd{net, "syd", "syd"};
  auto strangers = [&](int from) {
    for (int i = from; i < from + 1000; ++i) {
      auto link = syd.links->on_accepted("10.0.0." + std::to_string(i) + ":1");
      std::string noise(100, '\xFF');
      syd.links->on_bytes(link, std::as_bytes(std::span{noise.data(), noise.size()}));
    }
    return syd.log.count("warning: no link with 10.0.0.");
  };

  CHECK(strangers(0) == 256);
  CHECK(strangers(1000) == 256);
  net.pass(61s);
  CHECK(strangers(2000) == 512);
}

TEST_CASE("services reach a member before the first frame does") {
  network net;
  fake_node a{net, "a", "syd"};
  fake_node b{net, "b", "lax"};
  b.links->set_services("greet");
  struct checking : listener {
    std::function<void()> check;
    void on_frame(const std::shared_ptr<channel>&, frame_kind,
                  std::span<const std::byte>) override {}
    void on_link_down(const std::shared_ptr<channel>&, const caf::error&) override {}
    void on_change() override { check(); }
  };
  auto who = std::make_shared<checking>();
  int seen = 0;
  who->check = [&] { seen += static_cast<int>(a.read().channels.size()); };
  a.heard_by.add(who);
  a.links->on_addresses({"b:1"});

  net.pass(500ms);
  auto to_a = b.read().channels.at("a");
  to_a->send(frame_kind::first_user, bytes_of("hello"));
  net.settle();

  CHECK(seen > 0);
  CHECK(a.read().views.front().services == "greet"); // lax before syd
  CHECK(a.heard->from("b") == std::vector<std::string>{"hello"});
}

TEST_CASE_FIXTURE(linked_pair, "services that change faster than a peer reads gather no memory; "
                               "the newest arrives") {
  auto link = a.read().channels.at("b");

  for (char i = 'a'; i <= 'z'; ++i) // nothing moves meanwhile
    a.links->set_services(std::string(1024 * 1024, i));

  CHECK(link->unsent_bytes() <= std::size_t{9} * 1024 * 1024 + 1024);
  net.pass(1s);
  auto seen = b.read().views;
  CHECK(seen.back().services == std::string(1024 * 1024, 'z'));
}

TEST_CASE("a partition makes the others gone on both sides, and its end brings them back") {
  network net;
  fake_node a{net, "a", "syd"};
  fake_node b{net, "b", "lax"};
  for (auto* node : {&a, &b})
    node->links->on_addresses({"a:1", "b:1"});
  net.pass(1s);
  REQUIRE(a.sees(2));

  net.cut = true;
  net.pass(3s);
  CHECK(a.read().views.front().state == presence::suspect);
  net.pass(3s);
  CHECK(a.sees(1));
  CHECK(b.sees(1));
  CHECK(a.heard->downs().size() == 1);
  CHECK(a.read().channels.empty());

  net.cut = false;
  net.pass(5s);
  CHECK(a.sees(2));
  CHECK(b.sees(2));
  CHECK(a.links->size() == 1);
}

TEST_CASE(
    "who leaves says goodbye, and a listener hears of its end once, with the channel closed") {
  network net;
  fake_node a{net, "a", "syd"};
  fake_node b{net, "b", "lax"};
  auto order = std::make_shared<order_listener>();
  a.heard_by.add(order);
  b.links->on_addresses({"a:1"});
  net.pass(1s);
  REQUIRE(a.sees(2));
  order->heard.clear();

  b.links->leave();
  b.links->leave();
  net.settle();

  CHECK(a.sees(1));
  CHECK(b.sees(1));
  CHECK(std::count(order->heard.begin(), order->heard.end(), "down") == 1);
  CHECK(order->heard.back() == "change");
  CHECK(b.heard->downs().size() == 1);
  CHECK(b.links->size() == 0);
  net.pass(2s);
  CHECK(b.read().views.size() == 1); // it does not come back
}

TEST_CASE("a changed claim travels at once, a moved position with the next heartbeat") {
  network net;
  fake_node a{net, "a", "syd"};
  fake_node b{net, "b", "lax"};
  b.links->on_addresses({"a:1"});
  net.pass(1s);
  auto of_b = [&] { return a.read().views.front().database; };
  auto changes = a.heard->changes.load();

  b.links->set_claim({.role = claim::role::primary, .system = 1, .timeline = 1, .lsn = 10});
  net.settle();
  CHECK(of_b().role == claim::role::primary);
  CHECK(a.heard->changes > changes);
  CHECK(a.read().primary.group.front().id == "b");

  changes = a.heard->changes.load();
  b.links->set_claim({.role = claim::role::primary, .system = 1, .timeline = 1, .lsn = 20});
  net.settle();
  CHECK(of_b().lsn == 10);
  net.pass(1250ms);
  CHECK(of_b().lsn == 20);
  CHECK(a.heard->changes == changes);
}

TEST_CASE("a listener that throws costs a line of the log and nothing else") {
  struct throwing : listener {
    void on_frame(const std::shared_ptr<channel>&, frame_kind,
                  std::span<const std::byte>) override {
      throw std::runtime_error("oops");
    }
    void on_link_down(const std::shared_ptr<channel>&, const caf::error&) override {}
    void on_change() override { throw 42; }
  };
  network net;
  fake_node a{net, "a", "syd"};
  fake_node b{net, "b", "lax"};
  a.heard_by.add(std::make_shared<throwing>());
  b.links->on_addresses({"a:1"});
  net.pass(1s);

  b.read().channels.at("a")->send(frame_kind::first_user, bytes_of("x"));
  net.settle();

  CHECK(a.log.count("error: a listener threw: oops") == 1);
  CHECK(a.log.count("error: a listener threw: what was thrown is no std::exception") > 0);
  CHECK(a.sees(2));
}

TEST_CASE_FIXTURE(linked_pair,
                  "unknown kinds of this floor are skipped, a second handshake ends the link") {
  auto to_a = b.read().channels.at("a");

  to_a->send(static_cast<frame_kind>(15), bytes_of("of a later version"));
  net.settle();
  CHECK(to_a->is_open());
  to_a->send(frame_kind::hello, bytes_of("again"));
  net.settle();

  CHECK_FALSE(to_a->is_open());
}

TEST_CASE_FIXTURE(linked_pair, "answers to one read leave together, or in pieces") {
  a.heard_by.add(std::make_shared<echo_listener>());
  auto to_a = b.read().channels.at("a");
  auto answers_to = [&](int count) {
    b.heard = std::make_shared<memory_listener>();
    b.heard_by.add(b.heard);
    auto before = a.links->frames_read();
    auto wrote = a.writes;
    for (int i = 0; i < count; ++i)
      to_a->send(frame_kind::first_user, bytes_of(std::to_string(i)));
    net.settle();
    CHECK(a.links->frames_read() == before + static_cast<std::uint64_t>(count));
    auto heard = b.heard->from("a");
    REQUIRE(heard.size() == static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i)
      CHECK(heard[static_cast<std::size_t>(i)] == std::to_string(i));
    return a.writes - wrote;
  };

  CHECK(answers_to(80) == 1);
  a.links->send_in_pieces(true);
  CHECK(answers_to(31) == 1);
  CHECK(answers_to(33) == 2);
  CHECK(answers_to(80) == 3); // 32, 32, 16
  a.links->send_in_pieces(false);
  CHECK(answers_to(80) == 1);
}

TEST_CASE("a member that announces more than a node takes is named with both numbers, and dialled "
          "ever less") {
  network net;
  fake_node a{net, "a", "syd", {}, {.frame_bytes_max = 64 * 1024}};
  fake_node b{net, "b", "lax"};
  a.links->on_addresses({"b:1"});
  b.links->on_addresses({"a:1"});
  b.links->set_services(std::string(100'000, 's'));

  net.pass(5min);

  const std::string line = "warning: no link with b lasts: it sent a frame of 100001 bytes, the "
                           "limit is 65536; frame_bytes_max must be the same on all nodes";
  CHECK(a.log.count(line) >= 4);
  CHECK(a.log.count(line) <= 5); // once a minute
  CHECK(net.dials < 900); // each side waits half a second to a second; it was every tick: 2,400
}
