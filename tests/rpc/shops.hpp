#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fly/cluster/node.hpp"
#include "fly/rpc/endpoint.hpp"
#include "fly/rpc/verbs.hpp"
#include "shop.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/quick_options.hpp"

namespace fly::test {

/// Returns options of a node on any free port, quick enough for a test. The primary region is syd.
inline cluster::options shop_options(const std::string& region,
                                     std::vector<std::string> peers = {}) {
  auto result = quick_options(region, std::move(peers));
  result.frame_bytes_max = 256 * 1024;
  return result;
}

/// A node of the shop with its endpoint.
struct shop_node {
  explicit shop_node(const std::string& region, std::vector<std::string> peers = {},
                     rpc::endpoint_options options = {})
      : node(shop_options(region, std::move(peers))),
        rpc(std::make_unique<rpc::endpoint>(node, options)) {}

  const std::string address() const { return node.self().address; }
  const std::string id() const { return node.self().id; }

  cluster::node node;
  std::unique_ptr<rpc::endpoint> rpc;
};

/// Waits until `who` sees `count` members that have an endpoint.
inline bool sees_endpoints(const shop_node& who, std::size_t count) {
  return eventually([&] {
    std::size_t there = 0;
    for (const auto& view : who.node.views())
      there += view.state == cluster::presence::self || !view.services.empty() ? 1 : 0;
    return there == count;
  });
}

/// Returns how long `f` took.
template <class F>
std::chrono::milliseconds time_of(F f) {
  auto begin = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                               begin);
}

} // namespace fly::test
