// Proves that an endpoint wants its driver seldom while nothing is under way, and calls it as soon
// as something begins.
#include "fly/rpc/endpoint_core.hpp"

#include <atomic>
#include <future>
#include <stdexcept>
#include <thread>

#include <caf/scoped_actor.hpp>
#include <doctest/doctest.h>

#include "fake_link.hpp"
#include "shops.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;

namespace {

/// An endpoint whose driver is the test.
struct driven {
  shop_node place{"syd"};
  caf::scoped_actor driver{place.node.system()};
  std::shared_ptr<rpc::endpoint_core> core =
      std::make_shared<rpc::endpoint_core>(place.node, rpc::endpoint_options{});

  driven() { core->attach(driver->address()); }
  ~driven() { core->close(); }

  bool rests() {
    return eventually([&] { return core->drive() > core->options().tick; }, 3s);
  }

  bool is_called() {
    bool called = false;
    driver->receive([&](caf::ok_atom) { called = true; }, caf::after(0ms) >> [] {});
    return called;
  }

  std::uint64_t start(std::chrono::milliseconds timeout) {
    rpc::call begun;
    begun.whom = rpc::target::region("nrt"); // nobody is there
    begun.name = "shop.shout";
    begun.begun = std::chrono::steady_clock::now();
    begun.deadline = begun.begun + timeout;
    begun.reply = [](caf::expected<rpc::bytes>) {};
    return core->start(std::move(begun));
  }
};

} // namespace

TEST_CASE("an endpoint rests while nothing is under way") {
  driven it;
  CHECK(it.rests());
  CHECK_FALSE(it.is_called());
}

TEST_CASE(
    "a call that begins wakes an endpoint that rests, and it is driven every tick from then") {
  driven it;
  REQUIRE(it.rests());

  it.start(50ms);

  CHECK(it.is_called());
  CHECK(it.core->drive() == it.core->options().tick);
  std::this_thread::sleep_for(60ms);
  CHECK(it.core->drive() == it.core->options().tick); // it ended just now
  CHECK(it.core->caller().calls() == 0);
  it.start(1ms);
  CHECK_FALSE(it.is_called()); // it does not rest
  CHECK(it.rests());           // after a second
}

TEST_CASE("an endpoint closes although a reply has thrown") {
  auto it = std::make_shared<driven>();
  rpc::call begun;
  begun.whom = rpc::target::region("nrt");
  begun.name = "shop.shout";
  begun.begun = begun.deadline = std::chrono::steady_clock::now();
  begun.reply = [](const caf::expected<rpc::bytes>&) { throw std::runtime_error{"thrown"}; };
  it->core->start(std::move(begun));
  try {
    it->core->drive();
  } catch (const std::runtime_error&) { // a driver ends with it, and another one comes
  }

  auto done = std::make_shared<std::promise<void>>();
  std::thread{[it, done] {
    it->core->close();
    done->set_value();
  }}.detach();

  CHECK(done->get_future().wait_for(30s) == std::future_status::ready);
}

TEST_CASE("a member that sends malformed frames again and again is warned of once") {
  std::atomic<int> warnings{0};
  auto options = shop_options("syd");
  options.log = [&](cluster::log_level level, std::string_view) {
    warnings += level == cluster::log_level::warning ? 1 : 0;
  };
  cluster::node node{options};
  auto core = std::make_shared<rpc::endpoint_core>(node, rpc::endpoint_options{});
  fake_link link{"lax"};
  const std::vector<std::byte> junk(1);

  for (int i = 0; i < 100; ++i)
    core->on_frame(link.link, rpc::call_frame, junk);

  CHECK(warnings == 1);
  core->close();
}

TEST_CASE("an endpoint does not rest while a call is under way") {
  driven it;
  it.start(1h);
  CHECK_FALSE(eventually([&] { return it.core->drive() > it.core->options().tick; }, 1200ms));
}
