// remote_cart.cpp - an actor of one node, spoken with from another
#include <chrono>
#include <cstdint>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scoped_actor.hpp>
#include <fly/cluster/node.hpp>
#include <fly/rpc/endpoint.hpp>

using namespace std::literals;

struct line {
  std::string item;
  std::int32_t count = 0;
};

template <class Inspector>
auto inspect(Inspector& f, line& x) {
  return f(caf::meta::type_name("shop::line"), x.item, x.count);
}

caf::behavior cart(caf::event_based_actor* self) {
  auto lines = std::make_shared<std::vector<line>>();
  return {
      [lines](caf::put_atom, const line& what) { lines->push_back(what); },
      [lines](caf::get_atom) { return static_cast<std::int32_t>(lines->size()); },
      [self](caf::delete_atom) { self->quit(caf::exit_reason::user_shutdown); },
  };
}

fly::cluster::options options_of(const std::string& region, std::vector<std::string> peers) {
  fly::cluster::options result;
  result.region = region;
  result.port = 0;
  result.peers = std::move(peers);
  result.log = [](fly::cluster::log_level, std::string_view) {};
  return result;
}

int main() {
  // Both nodes live in this process; they would be two. Every program that sends or gets a `line`
  // registers it under the same name.
  caf::actor_system_config config;
  config.add_message_type<line>("shop::line");
  fly::cluster::prepare(config);
  caf::actor_system system{config};
  fly::cluster::node syd{system, options_of("syd", {})};
  fly::cluster::node lax{system, options_of("lax", {syd.self().address})};
  fly::rpc::endpoint in_syd{syd};
  fly::rpc::endpoint in_lax{lax};

  if (auto reason = in_syd.publish("cart", system.spawn(cart))) {
    std::cerr << fly::to_string(reason) << '\n';
    return 1;
  }
  if (syd.join() || lax.join())
    return 1;

  auto there = in_lax.actor(syd.self().id, "cart"); // waits for the member, and asks it
  if (!there) {
    std::cerr << fly::to_string(there.error()) << '\n';
    return 1;
  }
  caf::scoped_actor self{system};
  self->monitor(*there);
  self->send(*there, caf::put_atom::value, line{"pen", 2});
  self->send(*there, caf::put_atom::value, line{"ink", 1});
  self->request(*there, 5s, caf::get_atom::value)
      .receive([](std::int32_t count) { std::cout << count << " lines in the cart\n"; },
               [](const caf::error& reason) { std::cerr << fly::to_string(reason) << '\n'; });

  self->send(*there, caf::delete_atom::value);
  self->receive([](const caf::down_msg& down) {
    std::cout << "the cart has ended: " << caf::to_string(down.reason) << '\n';
  });

  auto again = in_lax.actor(syd.self().id, "cart");
  std::cout << (again ? "still there\n" : to_string(fly::code_of(again.error())) + '\n');
}
