// Proves that nodes behind delay proxies are far from each other and stay so: a link that is lost
// comes back through a proxy, never past it.
#include <array>
#include <memory>

#include <doctest/doctest.h>

#include "apps/local/delay_proxy.hpp"
#include "fly/actors/error.hpp"
#include "fly/cluster/node.hpp"
#include "tests/cluster/nodes.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/postgres_process.hpp"

using namespace std::chrono_literals;
using fly::cluster::node;
using fly::local::delay_proxy;
using fly::test::eventually;
using fly::test::free_port;
using fly::test::quick_node;
using fly::test::sees;

namespace {

constexpr std::chrono::milliseconds delay{40};

/// Two nodes, each listening on an address of its own and known by another one, where its proxy is.
class two_far_nodes {
public:
  two_far_nodes() {
    for (std::size_t i = 0; i < 2; ++i) {
      auto settings = quick_node(i == 0 ? "syd" : "lax", {front(0), front(1)});
      settings.listen = own(i);
      settings.advertise = front(i);
      nodes_[i] = std::make_unique<node>(settings);
      REQUIRE_FALSE(nodes_[i]->join());
    }
    start_proxies();
  }

  void start_proxies() {
    for (std::size_t i = 0; i < 2; ++i)
      proxies_[i] = std::make_unique<delay_proxy>(
          fly::local::delay_proxy_options{.listen = front(i), .target = own(i), .delay = delay});
  }

  void end_proxies() {
    for (auto& it : proxies_)
      it.reset();
  }

  bool linked() const { return sees(*nodes_[0], 2) && sees(*nodes_[1], 2); }

  /// Returns the round trip that each node measures to the other one, the shorter; 0 before any.
  std::chrono::microseconds round_trip() const {
    auto result = std::chrono::microseconds::max();
    for (const auto& it : nodes_)
      for (const auto& view : it->views())
        if (view.state != fly::cluster::presence::self)
          result = std::min(result, view.round_trip);
    return result;
  }

  delay_proxy& proxy(std::size_t index) { return *proxies_.at(index); }

private:
  std::string own(std::size_t index) const {
    return "127.0.0." + std::to_string(2 + index) + ":" + std::to_string(port_);
  }
  std::string front(std::size_t index) const {
    return "127.0.0." + std::to_string(102 + index) + ":" + std::to_string(port_);
  }

  std::uint16_t port_ = free_port();
  std::array<std::unique_ptr<node>, 2> nodes_;
  std::array<std::unique_ptr<delay_proxy>, 2> proxies_;
};

} // namespace

TEST_CASE("nodes behind proxies meet, a round trip apart, and again after their links were lost") {
  two_far_nodes nodes;
  REQUIRE(eventually([&] { return nodes.linked() && nodes.round_trip() > 0us; }));
  CHECK(nodes.round_trip() >= 2 * delay);

  nodes.end_proxies();

  CHECK(eventually([&] { return !nodes.linked(); }));
  // They know where the other one was and dial there for as long as it is not buried.
  CHECK_FALSE(eventually([&] { return nodes.linked(); }, 1000ms));
  nodes.start_proxies();
  REQUIRE(eventually([&] { return nodes.linked() && nodes.round_trip() > 0us; }));
  CHECK(nodes.round_trip() >= 2 * delay);
}

TEST_CASE("a direction that is cut makes a member silent, and healed it is back") {
  two_far_nodes nodes;
  REQUIRE(eventually([&] { return nodes.linked(); }));

  for (std::size_t i = 0; i < 2; ++i) // whichever of them carries the link
    nodes.proxy(i).cut(fly::local::direction::to_client);
  CHECK(eventually([&] { return !nodes.linked(); }));
  for (std::size_t i = 0; i < 2; ++i)
    nodes.proxy(i).heal(fly::local::direction::to_client);

  CHECK(eventually([&] { return nodes.linked(); }));
}
