// Proves that a call whose caller gives up, dies or is cut off is cancelled where it runs, and that
// calls made within a call inherit what is left and end with it.
#include <atomic>
#include <functional>
#include <future>

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/rpc/current_call.hpp"
#include "shops.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;

namespace {

/// lax calls; syd serves a function that runs until its call is cancelled.
struct bench {
  shop_node syd{"syd"};
  std::unique_ptr<shop_node> lax =
      std::make_unique<shop_node>("lax", std::vector<std::string>{syd.address()});
  std::atomic<int> begun{0};
  std::atomic<int> cancelled{0};
  std::atomic<bool> done{false};

  bench() {
    syd.rpc->serve(shop::shout, [this](const rpc::call_context& context, std::string text) {
      ++begun;
      if (!eventually([&] { return context.cancelled() || done; }, 10s))
        return std::string{"never"};
      cancelled += context.cancelled() ? 1 : 0;
      return text;
    });
    REQUIRE_FALSE(syd.node.join());
    REQUIRE_FALSE(lax->node.join());
    REQUIRE(sees_endpoints(*lax, 2));
    REQUIRE(sees_endpoints(syd, 2));
  }

  ~bench() { done = true; }

  bool runs() {
    return eventually([&] { return begun == 1; });
  }
  bool ends() {
    return eventually([&] { return cancelled == 1; });
  }
};

} // namespace

TEST_CASE("a call that its caller does not wait for any more is cancelled while it runs") {
  bench it;
  std::atomic<bool> replied{false};
  auto end = it.lax->rpc->start(
      rpc::target::region("syd"), shop::shout.name, {}, *rpc::encode(std::string{"x"}),
      std::chrono::steady_clock::now() + 1h, [&](caf::expected<rpc::bytes> outcome) {
        CHECK(outcome.error() == errc::timeout); // it may have run
        replied = true;
      });
  REQUIRE(it.runs());

  end();

  CHECK(replied);
  CHECK(it.ends());
}

TEST_CASE("a call of the own process is cancelled, too") {
  bench it;
  auto end = it.syd.rpc->start(
      rpc::target::region("syd"), shop::shout.name, {}, *rpc::encode(std::string{"x"}),
      std::chrono::steady_clock::now() + 1h, [](caf::expected<rpc::bytes>) {});
  REQUIRE(it.runs());

  end();

  CHECK(it.ends());
}

TEST_CASE("a call is cancelled at its caller's deadline") {
  bench it;
  auto reason = rpc_region(it.lax->rpc->with({.timeout = 100ms}), "syd", shop::shout, "x").error();

  CHECK(reason == errc::timeout);
  CHECK(it.ends());
}

TEST_CASE("an actor that ends cancels the call that it awaits") {
  bench it;
  auto asker = it.lax->node.system().spawn([&](caf::event_based_actor* self) -> caf::behavior {
    rpc_region(self, it.lax->rpc->with({.timeout = 1h}), "syd", shop::shout, "x")
        .then([](std::string&) {}, [](caf::error&) {});
    return {[](caf::ok_atom) {}};
  });
  REQUIRE(it.runs());

  caf::anon_send_exit(asker, caf::exit_reason::kill);

  CHECK(it.ends());
  CHECK(eventually([&] { return it.lax->rpc->counts().in_flight == 0; }));
}

TEST_CASE("a call that an actor starts and does not await is cancelled") {
  bench it;
  auto asker = it.lax->node.system().spawn([&](caf::event_based_actor* self) -> caf::behavior {
    auto dropped = std::make_shared<std::optional<rpc::reply<std::string>>>();
    dropped->emplace(rpc_region(self, it.lax->rpc->with({.timeout = 1h}), "syd", shop::shout, "x"));
    return {[dropped](caf::ok_atom) { dropped->reset(); }};
  });
  REQUIRE(it.runs());
  CHECK(it.cancelled == 0);

  caf::anon_send(asker, caf::ok_atom::value);

  CHECK(it.ends());
  caf::anon_send_exit(asker, caf::exit_reason::kill);
}

TEST_CASE("the calls of a member that is gone are cancelled") {
  bench it;
  auto* rpc = it.lax->rpc.get();
  rpc->start(rpc::target::region("syd"), shop::shout.name, {}, *rpc::encode(std::string{"x"}),
             std::chrono::steady_clock::now() + 1h, [](caf::expected<rpc::bytes>) {});
  REQUIRE(it.runs());

  it.lax = nullptr;

  CHECK(it.ends());
}

TEST_CASE("a call within a call has no later deadline, and ends when the outer one is cancelled") {
  bench it;
  std::atomic<bool> within{false};
  std::promise<caf::error> inner;
  constexpr rpc::function<void()> relay{"shop.relay"};
  it.lax->rpc->serve(relay, [&](const rpc::call_context& context) {
    within = it.lax->rpc->with({.timeout = 1h}).deadline() == context.deadline;
    auto answer = rpc_region(it.lax->rpc->with({.timeout = 1h}), "syd", shop::shout, "x");
    inner.set_value(answer ? caf::error{} : answer.error());
  });
  auto end = it.lax->rpc->start(rpc::target::region("lax"), relay.name, {}, {},
                                std::chrono::steady_clock::now() + 30min,
                                [](caf::expected<rpc::bytes>) {});
  REQUIRE(it.runs());

  end();

  CHECK(it.ends());
  CHECK(inner.get_future().get() == errc::timeout);
  CHECK(within);
}
