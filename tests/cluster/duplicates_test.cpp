// Proves that two nodes which dial each other at once end with exactly one link, the same on both
// sides, in whatever order their messages arrive: every interleaving is tried.
#include <deque>
#include <map>
#include <set>
#include <string>

#include <doctest/doctest.h>

#include "fly/cluster/membership.hpp"
#include "fly/cluster/wire.hpp"

using namespace fly::cluster;
using namespace std::chrono_literals;

namespace {

const membership::time_point start{1000s};
const membership::wall_time wall{};

/// One node: its membership and the handshakes of its connections. Copied at each fork of the
/// search.
struct side {
  std::shared_ptr<const identity> who;
  membership members;
  std::map<link_id, handshake> talks;
  std::set<link_id> up;
};

/// One direction of a connection: whole frames, then perhaps the end.
struct pipe {
  std::deque<std::string> frames;
  bool closed = false;
};

/// A connection as the network sees it: its ends are links of the two nodes.
struct wire {
  int delivered = 0;           // events so far
  std::map<int, link_id> link; // by node; 0: this end is closed
  std::map<int, pipe> towards; // by receiving node
};

struct world {
  std::map<int, side> nodes;
  std::vector<wire> wires;
};

nonce nonce_of(int number) {
  nonce result{};
  result[0] = static_cast<std::byte>(number);
  return result;
}

side make_side(const std::string& id) {
  member self{.id = id, .incarnation = 7, .region = "syd", .address = id + ":1"};
  membership_options options;
  options.self = self;
  return {std::make_shared<const identity>(identity{self, "shop", "secret"}),
          membership{options, start, wall},
          {},
          {}};
}

/// A fault that a test puts in: the acceptor takes every link whose dialler has proved itself.
enum class mutant { none, takes_every_link };

class explorer {
public:
  explicit explorer(mutant what = mutant::none) : mutant_(what) {}

  /// Tries every order and returns how many ended wrongly.
  int explore(const world& from) {
    auto key = print(from);
    if (!seen_.insert(key).second)
      return 0;
    int wrong = 0;
    bool moved = false;
    for (std::size_t i = 0; i < from.wires.size(); ++i)
      for (int receiver : {0, 1}) {
        const auto& pipe = from.wires[i].towards.at(receiver);
        if (from.wires[i].link.at(receiver) == 0 || (pipe.frames.empty() && !pipe.closed))
          continue;
        moved = true;
        auto next = from;
        deliver(next, i, receiver);
        wrong += explore(next);
      }
    if (!moved) {
      ++ends_;
      wrong += is_right(from) ? 0 : 1;
    }
    return wrong;
  }

  int ends() const { return ends_; }

private:
  static bool is_right(const world& at) {
    // Each has one link, and both are ends of one wire.
    for (const auto& [number, node] : at.nodes)
      if (node.up.size() != 1)
        return false;
    for (const auto& wire : at.wires)
      if (wire.link.at(0) == *at.nodes.at(0).up.begin() &&
          wire.link.at(1) == *at.nodes.at(1).up.begin())
        return true;
    return false;
  }

  static std::string print(const world& at) {
    std::string result;
    for (const auto& wire : at.wires) {
      result += std::to_string(wire.delivered) + ":";
      for (int node : {0, 1}) {
        result += std::to_string(wire.link.at(node)) + "/";
        for (const auto& frame : wire.towards.at(node).frames)
          result += frame.substr(4, 2) + ",";
        result += wire.towards.at(node).closed ? "x|" : "|";
      }
    }
    for (const auto& [number, node] : at.nodes)
      for (auto link : node.up)
        result += " up" + std::to_string(link);
    return result;
  }

  static void send(world& at, std::size_t which, int sender, const std::vector<char>& bytes) {
    if (!bytes.empty())
      at.wires[which].towards.at(1 - sender).frames.emplace_back(bytes.begin(), bytes.end());
  }

  static void close(world& at, std::size_t which, int closer) {
    at.wires[which].link.at(closer) = 0;
    at.wires[which].towards.at(1 - closer).closed = true;
  }

  static void perform(world& at, int node, const membership_actions& todo) {
    for (const auto& [link, reason] : todo.closes) {
      at.nodes.at(node).up.erase(link);
      for (std::size_t i = 0; i < at.wires.size(); ++i)
        if (at.wires[i].link.at(node) == link)
          close(at, i, node);
    }
  }

  void deliver(world& at, std::size_t which, int receiver) {
    ++at.wires[which].delivered;
    auto& pipe = at.wires[which].towards.at(receiver);
    auto& node = at.nodes.at(receiver);
    auto link = at.wires[which].link.at(receiver);
    if (pipe.frames.empty()) { // the other end is closed
      close(at, which, receiver);
      node.up.erase(link);
      perform(at, receiver, node.members.on_closed(link, {}, start));
      return;
    }
    auto bytes = pipe.frames.front();
    pipe.frames.pop_front();
    frame received{static_cast<frame_kind>(bytes[4]), bytes_of(bytes).subspan(frame_head_bytes)};
    auto& talk = node.talks.at(link);
    auto step = talk.on_frame(received);
    send(at, which, receiver, step.reply);
    if (step.what == handshake::event::peer_known) {
      if (node.members.on_peer_known(link, talk.peer(), start) == membership::answer::go_on)
        send(at, which, receiver, talk.proof_frame());
      else
        close(at, which, receiver);
    } else if (step.what == handshake::event::proved) {
      on_proved(at, which, receiver);
    } else if (step.what == handshake::event::established) {
      node.up.insert(link);
      perform(at, receiver, node.members.on_established(link, talk.peer(), start, wall));
    } else if (step.what == handshake::event::failed) {
      close(at, which, receiver);
      perform(at, receiver, node.members.on_closed(link, step.reason, start));
    }
  }

  void on_proved(world& at, std::size_t which, int receiver) {
    auto& node = at.nodes.at(receiver);
    auto link = at.wires[which].link.at(receiver);
    auto& talk = node.talks.at(link);
    auto peer = talk.peer();
    membership_actions todo;
    std::optional<refusal> refused;
    if (mutant_ == mutant::takes_every_link) {
      todo = node.members.on_established(link, peer, start, wall);
    } else {
      refused = node.members.on_proved(link, peer, start, wall, todo);
    }
    if (refused) {
      send(at, which, receiver, refuse_frame(*refused));
      close(at, which, receiver);
      return;
    }
    send(at, which, receiver, talk.welcome_frame());
    node.up.insert(link);
    perform(at, receiver, todo);
  }

  mutant mutant_;
  std::set<std::string> seen_;
  int ends_ = 0;
};

/// Two nodes, "a" and "b", with `dials` of each under way; the hellos are on the wire.
world both_dial(std::vector<int> diallers) {
  world result;
  result.nodes.emplace(0, make_side("a"));
  result.nodes.emplace(1, make_side("b"));
  int number = 0;
  std::map<int, std::vector<std::string>> addresses;
  for (int dialler : diallers)
    addresses[dialler].push_back("10.0.0." + std::to_string(++number) + ":1");
  std::map<int, std::vector<link_id>> dialled;
  for (auto& [node, wanted] : addresses) {
    result.nodes.at(node).members.on_addresses(wanted);
    for (const auto& dial : result.nodes.at(node).members.tick(start, wall).dials)
      dialled[node].push_back(dial.link);
  }
  for (int dialler : diallers) {
    wire fresh;
    fresh.towards[0];
    fresh.towards[1];
    auto& from = result.nodes.at(dialler);
    auto& to = result.nodes.at(1 - dialler);
    auto out = dialled[dialler].back();
    dialled[dialler].pop_back();
    auto in = to.members.on_accepted(start).first;
    fresh.link = {{dialler, out}, {1 - dialler, in}};
    handshake talk{handshake::side::dialler, from.who, nonce_of(++number)};
    auto hello = talk.begin();
    fresh.towards.at(1 - dialler).frames.emplace_back(hello.begin(), hello.end());
    from.talks.emplace(out, talk);
    to.talks.emplace(in, handshake{handshake::side::acceptor, to.who, nonce_of(++number)});
    result.wires.push_back(std::move(fresh));
  }
  return result;
}

} // namespace

TEST_CASE("two nodes that dial each other at once end with one link in every order") {
  explorer every;

  CHECK(every.explore(both_dial({0, 1})) == 0);
  CHECK(every.ends() > 1);
}

TEST_CASE("a node that dials another one through two addresses ends with one link") {
  explorer every;

  CHECK(every.explore(both_dial({0, 0})) == 0);
  CHECK(every.ends() > 1);
}

TEST_CASE("two addresses one way and one the other end with one link in every order") {
  explorer lower;
  explorer higher;

  CHECK(lower.explore(both_dial({0, 0, 1})) == 0);
  CHECK(higher.explore(both_dial({0, 1, 1})) == 0);
}

TEST_CASE("two addresses both ways end with one link in every order") {
  explorer every;

  CHECK(every.explore(both_dial({0, 0, 1, 1})) == 0);
  MESSAGE(every.ends(), " ends");
}

TEST_CASE("the search finds a rule that is broken") {
  explorer careless{mutant::takes_every_link};

  CHECK(careless.explore(both_dial({0, 1})) > 0);
}
