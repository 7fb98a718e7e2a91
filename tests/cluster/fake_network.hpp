#pragma once

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "fly/actors/error.hpp"
#include "fly/cluster/mesh.hpp"
#include "fly/cluster/wire.hpp"
#include "tests/cluster/nodes.hpp"

namespace fly::test {

using namespace std::chrono_literals;
using namespace fly::cluster;

class network;

/// One node on the fake network.
struct fake_node : transport {
  fake_node(network& net, const std::string& id, const std::string& region,
            std::shared_ptr<const tls_context> tls = {}, channel_limits limits = {});

  caf::error dial(link_id link, const std::string& address) override;
  void write(link_id link, std::span<const char> bytes) override;
  void attach(link_id, const std::shared_ptr<channel>&) override {} // no line: all by `drain`
  void drain(link_id link, const std::shared_ptr<channel>& from) override;
  void close(link_id link) override;

  snapshot read() const {
    auto latest = pinned.read();
    return *latest;
  }

  /// Returns how many links it has sent something on.
  std::size_t answered() const { return written.size(); }

  bool sees(std::size_t count) const {
    auto latest = read();
    for (const auto& view : latest.views)
      if (view.state != presence::self && !(view.linked && view.state == presence::alive))
        return false;
    return latest.views.size() == count;
  }

  network& net;
  std::string address;
  std::set<link_id> written;
  int writes = 0;
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

  /// Delivers until nothing moves; strangers have their turns.
  void settle() {
    do
      deliver_all();
    while (!cut && take_turns());
  }

  bool take_turns() {
    auto at = membership::time_point::max();
    for (auto* node : nodes)
      at = std::min(at, node->links->turn_at());
    if (at == membership::time_point::max())
      return false;
    now = std::max(now, at);
    for (auto* node : nodes) {
      node->links->set_time(now, {});
      node->links->take_turn();
    }
    return true;
  }

  void deliver_all() {
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

inline fake_node::fake_node(network& where, const std::string& id, const std::string& region,
                            std::shared_ptr<const tls_context> tls, channel_limits limits)
    : net(where), address(id + ":1") {
  mesh_options options;
  options.who.cluster = tls ? "shop" : "";
  options.tls = std::move(tls);
  options.who.self = {.id = id, .incarnation = 1, .region = region, .address = address};
  options.membership.dial = {.first = 100ms, .max = 1000ms};
  options.limits = limits;
  options.primary_label = "syd";
  options.log = log.sink();
  heard_by.add(heard);
  links = std::make_unique<mesh>(options, *this, pinned, heard_by, bell, net.now,
                                 membership::wall_time{});
  net.nodes.push_back(this);
  net.listening[address] = this;
}

inline caf::error fake_node::dial(link_id link, const std::string& to) {
  net.dial(*this, link, to);
  return {};
}

inline void fake_node::write(link_id link, std::span<const char> bytes) {
  written.insert(link);
  ++writes;
  if (auto [mine, other] = net.find(*this, link); other != nullptr)
    other->inbox.emplace_back(bytes.begin(), bytes.end());
}

inline void fake_node::drain(link_id link, const std::shared_ptr<channel>& from) {
  std::vector<char> bytes;
  from->take(bytes);
  from->in_flight(0);
  write(link, bytes);
}

inline void fake_node::close(link_id link) {
  if (auto [mine, other] = net.find(*this, link); mine != nullptr) {
    mine->open = false;
    other->peer_closed = true;
  }
}

} // namespace fly::test
