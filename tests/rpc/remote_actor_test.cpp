// Proves that a published actor of another node is an actor like any other: messages, requests,
// errors, timeouts, monitors; and that its end, its member's and its node's are heard of.
#include <chrono>
#include <string>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scoped_actor.hpp>
#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "shops.hpp"
#include "tests/cluster/certified.hpp"
#include "tests/rpc/peer_process.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;

namespace {

/// A program whose actors know some types of the shop.
struct program_config : caf::actor_system_config {
  explicit program_config(bool knows_orders) {
    if (knows_orders)
      add_message_type<shop::order>("shop::order");
    cluster::prepare(*this);
  }
};

struct program {
  explicit program(cluster::options options, bool knows_orders = true)
      : config(knows_orders), node(system, std::move(options)),
        rpc(std::make_unique<rpc::endpoint>(node)) {}

  ~program() {
    rpc.reset();
    for (auto& each : actors)
      caf::anon_send_exit(each, caf::exit_reason::kill);
  }

  template <class F>
  caf::actor run(F f) {
    actors.push_back(system.spawn(f));
    return actors.back();
  }

  std::string id() const { return node.self().id; }

  program_config config;
  caf::actor_system system{config};
  cluster::node node;
  std::unique_ptr<rpc::endpoint> rpc;
  std::vector<caf::actor> actors;
};

/// Adds what it gets, and tells the sum; never answers a question of an atom.
caf::behavior adder(caf::event_based_actor* self) {
  auto sum = std::make_shared<int>(0);
  auto open = std::make_shared<std::vector<caf::response_promise>>();
  return {
      [sum](caf::add_atom, int number) { *sum += number; },
      [sum](caf::get_atom) { return *sum; },
      [](shop::order pen) {
        ++pen.count;
        return pen;
      },
      [](const std::string& text) -> caf::result<std::string> {
        return make_error(errc::not_found, "no " + text, {{"name", text}});
      },
      [self, open](caf::put_atom) {
        open->push_back(self->make_response_promise());
        return open->back();
      },
      [self](caf::delete_atom) { self->quit(caf::exit_reason::user_shutdown); },
  };
}

struct two_programs {
  program syd;
  program lax;
  caf::actor cart = syd.run(adder);

  explicit two_programs(bool lax_knows_orders = true)
      : syd(shop_options("syd")),
        lax(shop_options("lax", {syd.node.self().address}), lax_knows_orders) {}

  void join() {
    REQUIRE_FALSE(syd.node.join());
    REQUIRE_FALSE(lax.node.join());
  }

  caf::actor found(const std::string& name = "cart") {
    auto result = lax.rpc->actor(syd.id(), name);
    REQUIRE_MESSAGE(result, fly::to_string(result.error()));
    return *result;
  }
};

template <class R, class... Args>
caf::expected<R> ask(caf::scoped_actor& self, const caf::actor& whom,
                     std::chrono::milliseconds timeout, Args... args) {
  caf::expected<R> result{caf::error{}};
  self->request(whom, timeout, args...)
      .receive([&](R& value) { result = std::move(value); },
               [&](caf::error& reason) { result = std::move(reason); });
  return result;
}

constexpr auto soon = std::chrono::seconds{5};

} // namespace

TEST_CASE("messages, requests, errors and timeouts of a remote actor are those of an actor") {
  two_programs two;
  REQUIRE_FALSE(two.syd.rpc->publish("cart", two.cart));
  two.join();
  auto cart = two.found();
  CHECK(two.found() == cart);
  caf::scoped_actor self{two.lax.system};

  for (int i = 1; i <= 100; ++i)
    self->send(cart, caf::add_atom::value, i);
  CHECK(ask<int>(self, cart, soon, caf::get_atom::value) == 5050); // in order, none lost
  auto order = ask<shop::order>(self, cart, soon, shop::order{7, "pen", 2});
  REQUIRE_MESSAGE(order, fly::to_string(order.error()));
  CHECK(*order == shop::order{7, "pen", 3});

  auto refused = ask<std::string>(self, cart, soon, std::string{"ink"});
  REQUIRE_FALSE(refused);
  CHECK(refused.error() == errc::not_found);
  CHECK(details_of(refused.error()).at("name") == "ink");
  CHECK(ask<int>(self, cart, soon, 5).error() == caf::sec::unexpected_message);
  CHECK(ask<int>(self, cart, 50ms, caf::put_atom::value).error() == caf::sec::request_timeout);
}

TEST_CASE("the end of a remote actor arrives as a down message with its exit reason") {
  two_programs two;
  REQUIRE_FALSE(two.syd.rpc->publish("cart", two.cart));
  two.join();
  auto cart = two.found();
  caf::scoped_actor self{two.lax.system};
  self->monitor(cart);
  auto open = self->request(cart, caf::infinite, caf::put_atom::value);

  self->send(cart, caf::delete_atom::value);

  self->receive([&](const caf::down_msg& down) {
    CHECK(down.source == cart.address());
    CHECK(down.reason == caf::exit_reason::user_shutdown);
  });
  open.receive([](int) {}, [](const caf::error& reason) { CHECK(reason); });
  CHECK(two.lax.rpc->actor(two.syd.id(), "cart").error() == errc::unknown_function);

  // The name is free for the next one, which is another actor.
  REQUIRE_FALSE(two.syd.rpc->publish("cart", two.syd.run(adder)));
  auto next = two.found();
  CHECK(next != cart);
  CHECK(ask<int>(self, next, soon, caf::get_atom::value) == 0);
}

TEST_CASE("an actor linked to a remote one ends with it, and not the other way") {
  two_programs two;
  REQUIRE_FALSE(two.syd.rpc->publish("cart", two.cart));
  two.join();
  auto cart = two.found();
  caf::scoped_actor self{two.lax.system};
  auto idle = [cart](caf::event_based_actor* me) -> caf::behavior {
    me->link_to(cart);
    return {[](caf::ok_atom) {}};
  };
  auto one = two.lax.run(idle);
  auto other = two.lax.run(idle);
  self->monitor(other);
  self->send_exit(one, caf::exit_reason::kill);
  self->wait_for(one);
  self->send_exit(cart, caf::exit_reason::kill);
  CHECK(ask<int>(self, cart, soon, caf::get_atom::value) == 0); // it lives

  self->send(cart, caf::delete_atom::value);

  self->receive(
      [&](const caf::down_msg& down) { CHECK(down.reason == caf::exit_reason::user_shutdown); });
}

TEST_CASE("a type that one side does not know is refused with an error that names it") {
  two_programs two{false};
  REQUIRE_FALSE(two.syd.rpc->publish("cart", two.cart));
  REQUIRE_FALSE(two.lax.rpc->publish("cart", two.lax.run(adder)));
  two.join();
  caf::scoped_actor at_lax{two.lax.system};
  caf::scoped_actor at_syd{two.syd.system};

  auto unsent = ask<shop::order>(at_lax, two.found(), soon, shop::order{7, "pen", 2});
  CHECK(unsent.error() == errc::malformed_arguments);
  auto back = two.syd.rpc->actor(two.lax.id(), "cart");
  REQUIRE(back);
  auto unread = ask<shop::order>(at_syd, *back, soon, shop::order{7, "pen", 2});
  CHECK(unread.error() == errc::malformed_arguments);
  CHECK(text_of(unread.error()).find("\"shop::order\"") != std::string::npos);
  CHECK(ask<int>(at_syd, *back, soon, caf::get_atom::value) == 0); // nothing is broken
}

TEST_CASE("looking for an actor says clearly what is not there") {
  two_programs two;
  REQUIRE_FALSE(two.syd.rpc->publish("closed", two.cart, {.allow = {{.region = "hkg"}}}));
  REQUIRE_FALSE(two.syd.rpc->publish("cart", two.cart));
  CHECK(two.syd.rpc->publish("cart", two.cart) == errc::already_served);
  two.join();

  auto nobody = two.lax.rpc->actor(two.syd.id(), "nobody");
  CHECK(nobody.error() == errc::unknown_function);
  CHECK(text_of(nobody.error()).find("nobody") != std::string::npos);
  CHECK(two.lax.rpc->actor(two.syd.id(), "closed").error() == errc::not_allowed);
  CHECK(two.lax.rpc->with({.timeout = 50ms}).actor("hkg-1", "cart").error() ==
        errc::no_such_member);

  auto cart = two.found();
  caf::scoped_actor self{two.lax.system};
  self->monitor(cart);
  CHECK(ask<int>(self, cart, soon, caf::get_atom::value) == 0); // it is attached there
  two.syd.rpc->unpublish("cart");
  self->receive([](const caf::down_msg& down) { CHECK(down.reason == errc::shutting_down); });
  CHECK(two.lax.rpc->actor(two.syd.id(), "cart").error() == errc::unknown_function);
}

TEST_CASE("a member of an older version is said to be one") {
  two_programs two;
  two.syd.rpc->unserve_builtin("fly.actor"); // as if it had never been served
  two.join();
  auto found = two.lax.rpc->actor(two.syd.id(), "cart");
  REQUIRE_FALSE(found);
  CHECK(found.error() == errc::unknown_function);
  CHECK(text_of(found.error()).find("older version") != std::string::npos);
}

TEST_CASE("an actor finds a remote actor without blocking, and is told who speaks with it") {
  two_programs two;
  auto watcher = two.syd.run([](caf::event_based_actor* self) -> caf::behavior {
    auto lost = std::make_shared<int>(0);
    self->set_down_handler([lost](const caf::down_msg&) { ++*lost; });
    return {[self](caf::join_atom) {
              self->monitor(self->current_sender());
              return true;
            },
            [lost](caf::get_atom) { return *lost; }};
  });
  REQUIRE_FALSE(two.syd.rpc->publish("watcher", watcher));
  two.join();
  caf::scoped_actor self{two.lax.system};
  auto finder = two.lax.run([rpc = two.lax.rpc.get(),
                             where = two.syd.id()](caf::event_based_actor* me) -> caf::behavior {
    return {[me, rpc, where](caf::join_atom) {
      auto promise = me->make_response_promise<bool>();
      rpc->actor(me, where, "watcher")
          .then([promise](
                    caf::actor& found) mutable { promise.delegate(found, caf::join_atom::value); },
                [promise](caf::error& reason) mutable { promise.deliver(reason); });
      return promise;
    }};
  });
  auto joined = ask<bool>(self, finder, soon, caf::join_atom::value);
  REQUIRE_MESSAGE(joined, fly::to_string(joined.error()));

  two.lax.node.leave();

  caf::scoped_actor at_syd{two.syd.system};
  CHECK(eventually([&] { return ask<int>(at_syd, watcher, soon, caf::get_atom::value) == 1; }));
}

TEST_CASE("endpoints that close end their handles and their actors' stubs") {
  two_programs two;
  REQUIRE_FALSE(two.syd.rpc->publish("cart", two.cart));
  two.join();
  auto cart = two.found();
  caf::scoped_actor self{two.lax.system};
  self->monitor(cart);
  CHECK(ask<int>(self, cart, soon, caf::get_atom::value) == 0); // it is attached there
  SUBCASE("that of the actor") {
    two.syd.rpc.reset();
  }
  SUBCASE("that of the handle") {
    two.lax.rpc.reset();
  }
  self->receive([](const caf::down_msg& down) { CHECK(down.reason == errc::shutting_down); });
  CHECK(ask<int>(self, cart, soon, caf::get_atom::value).error() == errc::no_such_member);
}

TEST_CASE("the end of a member that is killed arrives as a down message of its actors") {
  program lax{shop_options("lax")};
  REQUIRE_FALSE(lax.node.join());
  peer_process syd{"syd", lax.node.self().address};
  REQUIRE(eventually([&] { return !lax.node.region_nodes("syd").empty(); }));
  auto cart = lax.rpc->actor(lax.node.region_nodes("syd").front().id, "cart");
  REQUIRE_MESSAGE(cart, fly::to_string(cart.error()));
  caf::scoped_actor self{lax.system};
  self->monitor(*cart);
  CHECK(ask<std::string>(self, *cart, soon, std::string{"hi"}) == "hi");
  auto open = self->request(*cart, caf::infinite, std::string{"block"});

  syd.kill();

  self->receive([&](const caf::down_msg& down) {
    CHECK(down.source == cart->address());
    CHECK(down.reason == errc::member_lost);
  });
  open.receive([](const std::string&) { FAIL("the actor was killed"); },
               [](const caf::error& reason) { CHECK(reason == errc::member_lost); });
}

TEST_CASE("remote actors work over encrypted links, for those whom certificates name") {
  certified by;
  auto options = [&](const std::string& region, std::vector<std::string> peers = {}) {
    auto result = shop_options(region, std::move(peers));
    result.app = "shop";
    result.secret = "a secret";
    result.tls = by.files(region, {.regions = {region}});
    return result;
  };
  program syd{options("syd")};
  program lax{options("lax", {syd.node.self().address})};
  auto cart = syd.run(adder);
  REQUIRE_FALSE(syd.rpc->publish("lax", cart, {.allow = {{.certificate = "lax.shop.internal"}}}));
  REQUIRE_FALSE(syd.rpc->publish("hkg", cart, {.allow = {{.certificate = "hkg.shop.internal"}}}));
  REQUIRE_FALSE(syd.node.join());
  REQUIRE_FALSE(lax.node.join());

  CHECK(lax.rpc->actor(syd.id(), "hkg").error() == errc::not_allowed);
  auto found = lax.rpc->actor(syd.id(), "lax");
  REQUIRE_MESSAGE(found, fly::to_string(found.error()));
  caf::scoped_actor self{lax.system};
  CHECK(ask<shop::order>(self, *found, soon, shop::order{7, "pen", 2})->count == 3);
}

TEST_CASE("an actor of the own node is found as itself") {
  program syd{shop_options("syd")};
  auto cart = syd.run(adder);
  REQUIRE_FALSE(syd.rpc->publish("cart", cart, {.allow = {{.region = "hkg"}}}));
  REQUIRE_FALSE(syd.node.join());
  auto found = syd.rpc->actor(syd.id(), "cart");
  REQUIRE_MESSAGE(found, fly::to_string(found.error()));
  CHECK(*found == cart);
}
