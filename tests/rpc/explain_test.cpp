// Proves that a call which is explained tells where its time went, whatever becomes of it: the
// parts that it had, and no others, and where it stopped.
#include "fly/rpc/explain.hpp"

#include <future>
#include <stdexcept>
#include <thread>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "shops.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;
using rpc::account_for;
using std::chrono::microseconds;

namespace {

using time_point = rpc::call_trace::time_point;

std::optional<microseconds> part(const rpc::explanation& from, std::string_view name) {
  for (const auto& [each, took] : from.parts)
    if (each == name)
      return took;
  return std::nullopt;
}

microseconds sum(const rpc::explanation& from) {
  microseconds result{0};
  for (const auto& [name, took] : from.parts)
    result += took;
  return result;
}

const time_point start{1h};

/// A call that was handed to syd after 10 us, and answered after 110 us.
rpc::call_trace answered() {
  rpc::call_trace result;
  result.member = "syd";
  result.handed_at = start + 10us;
  result.answered_at = start + 110us;
  return result;
}

} // namespace

TEST_CASE("the wire is what is left of the round trip, and the parts add up to the total") {
  auto trace = answered();
  trace.parts.add(rpc::queue_part, 5us);
  trace.parts.add("commit", 20us);
  trace.parts.add(rpc::function_part, 15us);

  auto told = account_for(trace, start, start + 112us, {});

  CHECK(told.member == "syd");
  std::vector<std::pair<std::string, microseconds>> expected{
      {"find_member", 10us}, {"queue", 5us}, {"wire", 62us}, {"function", 15us}, {"commit", 20us}};
  CHECK(told.parts == expected);
  CHECK(told.total == 112us);
  CHECK(told.stopped_in.empty());
  CHECK_FALSE(rpc::error_of(told));
}

TEST_CASE("a member that tells nothing of its side leaves the round trip in one piece") {
  auto told = account_for(answered(), start, start + 110us, {});

  CHECK(part(told, rpc::wire_part) == 100us);
  CHECK(told.parts.size() == 2);
}

TEST_CASE("a member that claims more than the round trip leaves no wire, and none below 0") {
  auto trace = answered();
  trace.parts.add(rpc::function_part, 1s);

  CHECK(part(account_for(trace, start, start + 110us, {}), rpc::wire_part) == 0us);
}

TEST_CASE("an error says in which part the call stopped") {
  auto stopped = [](const rpc::call_trace& trace, errc code) {
    return account_for(trace, start, start + 110us, make_error(code, "no")).stopped_in;
  };
  rpc::call_trace waiting;
  CHECK(stopped(waiting, errc::no_primary) == "find_member");
  CHECK(account_for(waiting, start, start + 110us, make_error(errc::no_primary)).total == 110us);

  auto sent = answered();
  sent.answered_at.reset();
  CHECK(stopped(sent, errc::timeout) == "round_trip");
  CHECK(stopped(sent, errc::member_lost) == "round_trip");
  CHECK(stopped(sent, errc::expired) == "queue");
  auto lost = account_for(sent, start, start + 110us, make_error(errc::timeout));
  CHECK(lost.parts.size() == 1);
  CHECK(lost.total == 110us);

  auto refused = answered();
  CHECK(stopped(refused, errc::unknown_function).empty());
  refused.parts.add(rpc::queue_part, 5us);
  CHECK(stopped(refused, errc::expired) == "queue");
  refused.parts.add(rpc::function_part, 5us);
  CHECK(stopped(refused, errc::function_failed) == "function");
  auto commit = answered();
  commit.parts.add(rpc::queue_part, 5us);
  commit.parts.add("commit", 5us);
  commit.parts.add(rpc::function_part, 5us);
  CHECK(stopped(commit, errc::outcome_unknown) == "commit");
}

TEST_CASE("the error of a call comes back whole") {
  auto told = account_for(answered(), start, start + 110us,
                          make_error(errc::sql_failed, "no", {{"sqlstate", "23505"}}));

  auto reason = rpc::error_of(told);

  CHECK(reason == errc::sql_failed);
  CHECK(text_of(reason) == "no");
  CHECK(details_of(reason).at("sqlstate") == "23505");
}

namespace {

/// Two nodes: syd serves, lax asks.
struct two_shops {
  explicit two_shops(rpc::endpoint_options at_syd = {}) : syd("syd", {}, at_syd) {
    syd.rpc->serve(shop::shout, [this](std::string text) {
      released.wait();
      std::this_thread::sleep_for(3ms); // a function that takes its time
      if (text.empty())
        throw std::invalid_argument{"nothing to shout"};
      return text + "!";
    });
    REQUIRE_FALSE(syd.node.join());
    lax = std::make_unique<shop_node>("lax", std::vector<std::string>{syd.address()});
    REQUIRE_FALSE(lax->node.join());
    REQUIRE(sees_endpoints(*lax, 2));
    REQUIRE(sees_endpoints(syd, 2));
  }

  ~two_shops() { let_go(); }

  void let_go() {
    if (!std::exchange(done, true))
      release.set_value();
  }

  static rpc::explain_request shout(const std::string& text, microseconds timeout = 5s) {
    return {.kind = rpc::target::kind::region,
            .whom = "syd",
            .name = std::string{shop::shout.name},
            .signature = rpc::signature_of<std::string(std::string)>().text,
            .arguments = *rpc::encode(text),
            .timeout = timeout};
  }

  bool done = false;
  std::promise<void> release;
  std::shared_future<void> released{release.get_future()};
  shop_node syd;
  std::unique_ptr<shop_node> lax;
};

} // namespace

TEST_CASE("a member makes the call for a visitor and tells its parts") {
  two_shops it;
  it.let_go();

  // From syd lax is asked to ask syd: what a visitor does.
  auto told = rpc_member(*it.syd.rpc, it.lax->id(), rpc::explain, two_shops::shout("hello"));

  REQUIRE_MESSAGE(told, fly::to_string(told.error()));
  CHECK(told->member == it.syd.id());
  REQUIRE(told->parts.size() == 4);
  CHECK(part(*told, rpc::find_member_part));
  CHECK(part(*told, rpc::queue_part));
  CHECK(part(*told, rpc::wire_part) > 0us);
  CHECK(part(*told, rpc::function_part) >= 3ms);
  CHECK(sum(*told) == told->total);
  CHECK(*rpc::decode_result<std::string>(told->result) == "hello!");
}

TEST_CASE("a call that runs on the asking node has the same parts") {
  two_shops it;
  it.let_go();

  auto told = rpc::explain_call(*it.syd.rpc, two_shops::shout("hello"));

  CHECK(told.member == it.syd.id());
  CHECK(told.parts.size() == 4);
  CHECK(part(told, rpc::function_part) >= 3ms);
  CHECK(sum(told) == told.total);
}

TEST_CASE("time spent waiting for a worker is in the queue, not in the function") {
  two_shops it{{.workers = 1}};
  auto first = std::async(std::launch::async, [&] {
    return rpc::explain_call(*it.lax->rpc, two_shops::shout("first"));
  });
  REQUIRE(eventually([&] { return it.syd.rpc->counts().serving == 1; }));
  auto second = std::async(std::launch::async, [&] {
    return rpc::explain_call(*it.lax->rpc, two_shops::shout("second"));
  });
  REQUIRE(eventually([&] { return it.syd.rpc->counts().serving == 2; }));
  it.let_go();

  CHECK(part(first.get(), rpc::function_part) >= 3ms);
  auto told = second.get();
  CHECK(part(told, rpc::queue_part) >= 3ms); // at least as long as the first one's sleep
  CHECK(sum(told) == told.total);
}

TEST_CASE("a function that throws has been timed all the same") {
  two_shops it;
  it.let_go();

  auto told = rpc::explain_call(*it.lax->rpc, two_shops::shout(""));

  CHECK(rpc::error_of(told) == errc::function_failed);
  CHECK(told.stopped_in == rpc::function_part);
  CHECK(part(told, rpc::function_part) >= 3ms);
}

TEST_CASE("a call that gets no answer, or nobody to ask, says where it stopped") {
  two_shops it;

  auto told = rpc::explain_call(*it.lax->rpc, two_shops::shout("hello", 100ms));
  CHECK(rpc::error_of(told) == errc::timeout);
  CHECK(told.stopped_in == rpc::round_trip_part);
  CHECK(told.member == it.syd.id());
  CHECK(told.total >= 100ms);

  auto asked = two_shops::shout("hello", 50ms);
  asked.whom = "hkg";
  told = rpc::explain_call(*it.lax->rpc, asked);
  CHECK(rpc::error_of(told) == errc::no_node_in_region);
  CHECK(told.stopped_in == rpc::find_member_part);
  CHECK(told.member.empty());

  asked = two_shops::shout("hello");
  asked.name = "shop.unknown";
  told = rpc::explain_call(*it.lax->rpc, asked);
  CHECK(rpc::error_of(told) == errc::unknown_function);
}

TEST_CASE("a node with one worker explains a call that it runs itself") {
  two_shops it{{.workers = 1}};
  it.let_go();

  auto told = rpc_member(*it.lax->rpc, it.syd.id(), rpc::explain, two_shops::shout("hello"));

  REQUIRE_MESSAGE(told, fly::to_string(told.error()));
  CHECK(told->member == it.syd.id());
  CHECK(*rpc::decode_result<std::string>(told->result) == "hello!");
}

TEST_CASE("what is served for some callers only is not explained: the asked member would be the "
          "caller") {
  two_shops it;
  it.let_go();
  for (auto* each : {&it.syd, it.lax.get()})
    REQUIRE_FALSE(each->rpc->serve(shop::place, {.allow = {{.region = "lax"}}},
                                   [](std::string item, std::int32_t count) {
                                     return shop::order{1, std::move(item), count};
                                   }));
  CHECK(rpc_region(*it.lax->rpc, "syd", shop::place, "pen", 1));
  CHECK(rpc_region(*it.syd.rpc, "lax", shop::place, "pen", 1).error() == errc::not_allowed);

  for (const char* region : {"syd", "lax"}) { // by itself, and by another one that may
    CAPTURE(region);
    rpc::explain_request asked{.kind = rpc::target::kind::region,
                               .whom = region,
                               .name = std::string{shop::place.name},
                               .signature =
                                   rpc::signature_of<shop::order(std::string, std::int32_t)>().text,
                               .arguments = *rpc::encode(std::string{"pen"}, std::int32_t{1}),
                               .timeout = 5s};
    auto told = rpc_member(*it.syd.rpc, it.lax->id(), rpc::explain, asked);
    REQUIRE_MESSAGE(told, fly::to_string(told.error()));
    CHECK(rpc::error_of(*told) == errc::not_allowed);
  }
}

TEST_CASE("nobody is explained to who waits no more") {
  two_shops it;

  auto late = rpc_member(it.syd.rpc->with({.timeout = 300ms}), it.lax->id(), rpc::explain,
                         two_shops::shout("hello", 1h));

  CHECK((late ? rpc::error_of(*late) : late.error()) == errc::timeout); // whichever was first
  CHECK(eventually([&] { return it.lax->rpc->counts().serving == 0; }));
  CHECK(it.lax->rpc->counts().in_flight == 0);
}
