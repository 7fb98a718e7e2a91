// Proves that strangers within the handshake of TLS take turns, so that members do not wait for
// them.
#include "fly/cluster/handshake_pace.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/cluster/tls_filter.hpp"
#include "tests/cluster/certified.hpp"
#include "tests/cluster/fake_network.hpp"

using namespace fly::test;
using fly::errc;

namespace {

/// A node with TLS, and strangers who say what a dialler of TLS says first.
struct crowded {
  crowded() {
    syd.links->set_time(net.now, {});
    tls_filter{trusted, tls_filter::side::dialler}.seal({}, hello);
  }

  /// Comes with `count` strangers who say so at once.
  void come(std::size_t count) {
    for (; count > 0; --count) {
      strangers.push_back(syd.links->on_accepted("stranger:1"));
      syd.links->on_bytes(strangers.back(), std::as_bytes(std::span{hello}));
    }
  }

  /// Lets `time` pass, and the stranger whose turn it is go on.
  void turn(std::chrono::nanoseconds time) {
    net.now += time;
    syd.links->set_time(net.now, {});
    syd.links->take_turn();
  }

  certified by;
  std::shared_ptr<const tls_context> trusted = *tls_context::load(by.files("syd"), "shop");
  network net;
  fake_node syd{net, "syd-1", "syd", trusted};
  std::vector<char> hello;
  std::vector<link_id> strangers;
};

} // namespace

TEST_CASE("a step makes the next one wait until a quarter of the time was spent") {
  handshake_pace pace;
  handshake_pace::time_point now{100s};
  CHECK(pace.free_at() <= now);

  pace.spent(now, 2ms);

  CHECK(pace.free_at() == now + 8ms);
}

TEST_CASE_FIXTURE(crowded, "strangers go on with TLS one after the other, at a pace") {
  come(3);

  CHECK(syd.answered() == 1); // at once
  auto at = syd.links->turn_at();
  CHECK(at > net.now);
  CHECK(at < net.now + 1s);
  turn(at - net.now - 1ns);
  CHECK(syd.answered() == 1);
  turn(1ns);
  CHECK(syd.answered() == 2);
  turn(1s);
  CHECK(syd.answered() == 3);
  CHECK(syd.links->turn_at() == membership::time_point::max());
}

TEST_CASE_FIXTURE(crowded, "who goes before their turn costs nothing") {
  come(3);
  syd.links->on_closed(strangers[1], fly::make_error(errc::member_lost, "closed"));

  turn(1s);

  CHECK(syd.answered() == 2);
  CHECK(syd.links->turn_at() == membership::time_point::max());
  CHECK(syd.links->size() == 2);
}

TEST_CASE_FIXTURE(crowded, "what a stranger says before their turn is bounded") {
  come(2);

  const std::vector<std::byte> more(64 * 1024);
  syd.links->on_bytes(strangers[1], more);
  CHECK(syd.links->size() == 2);
  syd.links->on_bytes(strangers[1], more);

  CHECK(syd.links->size() == 1);
  CHECK(syd.log.count("before the handshake was over") == 1);
}
