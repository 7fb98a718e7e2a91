// A shop as a process of its own, for tests that kill it: fly_rpc_peer REGION PEER.
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>

#include "shops.hpp"

namespace {

/// Returns what it is told, and never answers "block".
caf::behavior cart(caf::event_based_actor* self) {
  auto open = std::make_shared<std::vector<caf::typed_response_promise<std::string>>>();
  return {[self, open](const std::string& text) {
    auto promise = self->make_response_promise<std::string>();
    if (text == "block")
      open->push_back(promise);
    else
      promise.deliver(text);
    return promise;
  }};
}

} // namespace

int main(int argc, char** argv) {
  if (argc != 3)
    return 2;
  fly::test::shop_node here{argv[1], {argv[2]}};
  here.rpc->serve(shop::shout, [](std::string text) {
    if (text == "block")
      std::this_thread::sleep_for(std::chrono::minutes{1});
    return text;
  });
  if (here.rpc->publish("cart", here.node.system().spawn(cart)) || here.node.join())
    return 1;
  std::this_thread::sleep_for(std::chrono::minutes{2});
}
