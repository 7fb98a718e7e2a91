// Proves when a call begins, when it never does, and what a running one hears of its caller's end.
#include "fly/rpc/ticket.hpp"

#include <optional>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "fly/rpc/call.hpp"
#include "fly/rpc/current_call.hpp"
#include "fly/rpc/handler.hpp"

using namespace fly;
using namespace fly::rpc;
using namespace std::chrono_literals;

namespace {

struct running {
  ticket permit;
  cluster::member caller{.id = "caller"};
  call_context context{std::chrono::steady_clock::now() + 1h, caller, nullptr, &permit};
};

} // namespace

TEST_CASE("a call that is cancelled in the queue never begins, and one that has begun goes on") {
  ticket dropped;
  CHECK(dropped.cancel());
  CHECK(dropped.cancel());
  CHECK_FALSE(dropped.begin());
  CHECK(dropped.cancelled());

  ticket begun;
  CHECK(begun.begin());
  CHECK_FALSE(begun.begin());
  CHECK_FALSE(begun.cancelled());
  CHECK_FALSE(begun.cancel());
  CHECK(begun.cancelled());
}

TEST_CASE("every watch hears of a cancel once, those that come later at once") {
  running it;
  it.permit.begin();
  int heard = 0;
  cancel_watch first{&it.context, [&] { ++heard; }};
  std::optional<cancel_watch> ended;
  ended.emplace(&it.context, [&] { heard += 100; });
  cancel_watch third{&it.context, [&] { ++heard; }};
  ended.reset(); // from the middle

  it.permit.cancel();
  it.permit.cancel();
  CHECK(heard == 2);

  cancel_watch late{&it.context, [&] { ++heard; }};
  CHECK(heard == 3);
}

TEST_CASE("without a call, or with one that cannot be cancelled, there is nothing to watch") {
  running it;
  it.context.permit = nullptr;
  int heard = 0;
  cancel_watch none{nullptr, [&] { ++heard; }};
  cancel_watch deaf{&it.context, [&] { ++heard; }};

  it.permit.begin();
  it.permit.cancel();

  CHECK(heard == 0);
  CHECK_FALSE(it.context.cancelled());
}

TEST_CASE("a watch that ends while its call is cancelled is not called any more after that") {
  for (int round = 0; round < 500; ++round) {
    running it;
    it.permit.begin();
    auto alive = std::make_unique<int>(1);
    std::optional<cancel_watch> watch;
    watch.emplace(&it.context, [&] { *alive = 2; }); // the address sanitizer sees a late one
    std::thread canceller{[&] { it.permit.cancel(); }};
    watch.reset();
    alive.reset();
    canceller.join();
  }
}

TEST_CASE("a context is cancelled by its caller or by its deadline") {
  running it;
  it.permit.begin();
  CHECK_FALSE(it.context.cancelled());
  it.permit.cancel();
  CHECK(it.context.cancelled());

  running late;
  late.permit.begin();
  late.context.deadline = std::chrono::steady_clock::now();
  CHECK(late.context.cancelled());
}

TEST_CASE("what a function returns that was told to stop is no result") {
  running it;
  it.permit.begin();
  auto counts = make_raw_handler<int>([](const call_context&) { return 3; });
  auto notes = make_raw_handler<void>([](const call_context&) {});
  auto untold = make_raw_handler<int>([] { return 3; });
  CHECK(counts(it.context, {}));

  it.context.deadline = std::chrono::steady_clock::now();

  CHECK(counts(it.context, {}).error() == errc::timeout);
  CHECK(notes(it.context, {}).error() == errc::timeout);
  CHECK(untold(it.context, {}));
}

TEST_CASE("the current call is that of the innermost scope of this thread") {
  running outer;
  running inner;
  CHECK(current_call() == nullptr);
  {
    call_scope one{outer.context};
    {
      call_scope two{inner.context};
      CHECK(current_call() == &inner.context);
      std::thread{[] { CHECK(current_call() == nullptr); }}.join();
    }
    CHECK(current_call() == &outer.context);
  }
  CHECK(current_call() == nullptr);
}

TEST_CASE("a deadline within a call is no later than that of the call") {
  auto now = std::chrono::steady_clock::now();
  CHECK(deadline_within(1h) >= now + 1h);
  CHECK(deadline_within(-1h) >= now + 1ms);
  auto longest = deadline_within(1000h);
  CHECK(longest <= std::chrono::steady_clock::now() + 24h);

  running it;
  call_scope scope{it.context};
  CHECK(deadline_within(2h) == it.context.deadline);
  CHECK(deadline_within(1s) < it.context.deadline);
}
