// A shop as a process of its own, for tests that kill it: fly_rpc_peer REGION PEER.
#include <chrono>
#include <thread>

#include "shops.hpp"

int main(int argc, char** argv) {
  if (argc != 3)
    return 2;
  fly::test::shop_node here{argv[1], {argv[2]}};
  here.rpc->serve(shop::shout, [](std::string text) {
    if (text == "block")
      std::this_thread::sleep_for(std::chrono::minutes{1});
    return text;
  });
  if (here.node.join())
    return 1;
  std::this_thread::sleep_for(std::chrono::minutes{2});
}
