// One tree: fly's three actors and one of our own, which is killed and comes back.
#include <chrono>
#include <iostream>
#include <thread>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/exit_reason.hpp>
#include <caf/send.hpp>
#include <fly/fly.hpp>

using namespace std::chrono_literals;

caf::behavior clerk() {
  return {[](int question) { return question + 1; }};
}

int main() {
  caf::actor_system_config config;
  fly::cluster::prepare(config); // before the system is made
  caf::actor_system system{config};

  auto where = fly::cluster::options::from_env();
  fly::cluster::node node{system, where};
  fly::rpc::endpoint rpc{node};
  fly::repo::database db{rpc, fly::repo::options::from_env(where)};

  fly::actors::child_spec own{
      .id = "clerk",
      .start = [](caf::event_based_actor* parent) -> caf::actor { return parent->spawn(clerk); },
      .restart = fly::actors::restart::permanent,
      .shutdown = 1s};
  fly::actors::supervisor tree{
      system,
      {.strategy = fly::actors::strategy::rest_for_one, .restarts_max = 3, .restarts_within = 5s},
      {fly::rpc::child(rpc), fly::repo::child(db), fly::repo::tracker_child(db), own}};
  if (auto reason = node.join()) {
    std::cerr << fly::to_string(reason) << '\n';
    return 1;
  }
  if (!tree.wait_started(5s))
    return 1;

  for (const auto& it : tree.which_children())
    if (it.id == "clerk")
      caf::anon_send_exit(it.handle, caf::exit_reason::kill);
  for (int i = 0; i < 100; ++i) {
    std::this_thread::sleep_for(20ms);
    for (const auto& it : tree.which_children())
      if (it.id == "clerk" && it.handle && it.restarts == 1) {
        std::cout << "the clerk is back\n";
        return 0;
      }
  }
  return 1;
}
