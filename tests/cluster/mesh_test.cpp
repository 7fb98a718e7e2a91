// Proves whole nodes without sockets, in virtual time: what listeners hear and in which order, that
// a node knows itself behind another address, and what a partition and its end do.
#include "fly/cluster/mesh.hpp"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/cluster/wire.hpp"
#include "tests/cluster/certified.hpp"
#include "tests/cluster/nodes.hpp"

using namespace std::chrono_literals;
using namespace fly::cluster;
using namespace fly::test;
using fly::errc;

namespace {

class network;

/// One node on the fake network.
struct fake_node : transport {
  fake_node(network& net, const std::string& id, const std::string& region,
            std::shared_ptr<const tls_context> tls = {});

  caf::error dial(link_id link, const std::string& address) override;
  void write(link_id link, std::span<const char> bytes) override;
  void attach(link_id, const std::shared_ptr<channel>&) override {} // no line: all by `drain`
  void drain(link_id link, const std::shared_ptr<channel>& from) override;
  void close(link_id link) override;

  snapshot read() const {
    auto latest = pinned.read();
    return *latest;
  }

  bool sees(std::size_t count) const {
    auto latest = read();
    for (const auto& view : latest.views)
      if (view.state != presence::self && !(view.linked && view.state == presence::alive))
        return false;
    return latest.views.size() == count;
  }

  network& net;
  std::string address;
  log_lines log;
  board pinned{{}};
  listeners heard_by{log.sink()};
  std::shared_ptr<doorbell> bell = std::make_shared<doorbell>();
  std::shared_ptr<memory_listener> heard = std::make_shared<memory_listener>();
  std::unique_ptr<mesh> links;
};

/// Carries bytes between the nodes, in order per direction; whole directions can be cut.
class network {
public:
  struct end {
    fake_node* node = nullptr;
    link_id link = 0;
    bool open = true;
    std::deque<std::string> inbox;
    bool peer_closed = false;
  };

  void dial(fake_node& from, link_id link, const std::string& address) {
    ++dials;
    auto target = listening.find(address);
    if (target == listening.end() || cut) {
      refused.emplace_back(&from, link);
      return;
    }
    auto wire = std::make_shared<std::pair<end, end>>();
    wire->first.node = &from;
    wire->first.link = link;
    wire->second.node = target->second;
    wire->second.link = target->second->links->on_accepted("stranger:1");
    wires.push_back(wire);
  }

  /// Returns this end and the other one.
  std::pair<end*, end*> find(const fake_node& node, link_id link) {
    for (auto& wire : wires) {
      if (wire->first.node == &node && wire->first.link == link)
        return {&wire->first, &wire->second};
      if (wire->second.node == &node && wire->second.link == link)
        return {&wire->second, &wire->first};
    }
    return {nullptr, nullptr};
  }

  /// Delivers until nothing moves.
  void settle() {
    for (bool moved = true; moved;) {
      moved = false;
      for (auto [node, link] : std::exchange(refused, {})) {
        node->links->on_closed(link, fly::make_error(errc::no_such_member, "refused"));
        moved = true;
      }
      for (auto* node : nodes)
        for (auto link : node->bell->take().second) {
          node->links->drain(link);
          moved = true;
        }
      for (std::size_t i = 0; i < wires.size() && !cut; ++i) {
        auto wire = wires[i];
        moved = deliver(wire->first) || moved;
        moved = deliver(wire->second) || moved;
      }
    }
  }

  void pass(std::chrono::milliseconds time) {
    for (auto end = now + time; now < end;) {
      now += 250ms;
      for (auto* node : nodes)
        node->links->tick(now, {});
      settle();
    }
  }

  membership::time_point now{1000s};
  std::map<std::string, fake_node*> listening;
  std::vector<fake_node*> nodes;
  std::vector<std::shared_ptr<std::pair<end, end>>> wires;
  std::vector<std::pair<fake_node*, link_id>> refused;
  bool cut = false;
  int dials = 0;

private:
  static bool deliver(end& to) {
    if (!to.open)
      return false;
    if (!to.inbox.empty()) {
      auto bytes = std::move(to.inbox.front());
      to.inbox.pop_front();
      to.node->links->on_bytes(to.link, bytes_of(bytes));
      return true;
    }
    if (!to.peer_closed)
      return false;
    to.open = false;
    to.node->links->on_closed(to.link, fly::make_error(errc::member_lost, "closed"));
    return true;
  }
};

fake_node::fake_node(network& where, const std::string& id, const std::string& region,
                     std::shared_ptr<const tls_context> tls)
    : net(where), address(id + ":1") {
  mesh_options options;
  options.who.cluster = tls ? "shop" : "";
  options.tls = std::move(tls);
  options.who.self = {.id = id, .incarnation = 1, .region = region, .address = address};
  options.membership.dial = {.first = 100ms, .max = 1000ms};
  options.primary_label = "syd";
  options.log = log.sink();
  heard_by.add(heard);
  links = std::make_unique<mesh>(options, *this, pinned, heard_by, bell, net.now,
                                 membership::wall_time{});
  net.nodes.push_back(this);
  net.listening[address] = this;
}

caf::error fake_node::dial(link_id link, const std::string& to) {
  net.dial(*this, link, to);
  return {};
}

void fake_node::write(link_id link, std::span<const char> bytes) {
  if (auto [mine, other] = net.find(*this, link); other != nullptr)
    other->inbox.emplace_back(bytes.begin(), bytes.end());
}

void fake_node::drain(link_id link, const std::shared_ptr<channel>& from) {
  std::vector<char> bytes;
  from->take(bytes);
  from->in_flight(0);
  write(link, bytes);
}

void fake_node::close(link_id link) {
  if (auto [mine, other] = net.find(*this, link); mine != nullptr) {
    mine->open = false;
    other->peer_closed = true;
  }
}

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
    void on_change() override {}
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
  CHECK(a.sees(2));
}

TEST_CASE("unknown kinds of this floor are skipped, a second handshake ends the link") {
  network net;
  fake_node a{net, "a", "syd"};
  fake_node b{net, "b", "lax"};
  b.links->on_addresses({"a:1"});
  net.pass(1s);
  auto to_a = b.read().channels.at("a");

  to_a->send(static_cast<frame_kind>(15), bytes_of("of a later version"));
  net.settle();
  CHECK(to_a->is_open());
  to_a->send(frame_kind::hello, bytes_of("again"));
  net.settle();

  CHECK_FALSE(to_a->is_open());
}
