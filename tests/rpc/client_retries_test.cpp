// Proves when a call is made again though it may have run: only where its caller says that it may,
// within the budget, and with an error that never says that nothing ran.
#include <doctest/doctest.h>

#include "fake_link.hpp"
#include "fly/actors/error.hpp"
#include "fly/rpc/admission.hpp"
#include "fly/rpc/client.hpp"
#include "fly/rpc/server.hpp"

using namespace fly;
using namespace fly::rpc;
using namespace fly::test;
using namespace std::chrono_literals;
using cluster::bytes_of;
using clock_type = std::chrono::steady_clock;

namespace {

using outcome = std::shared_ptr<std::optional<caf::expected<bytes>>>;

/// A client with two members that are the test.
struct bench {
  actors::worker_pool workers{{.threads = 1, .queue_max = 1, .name = "test"}};
  rpc::server local{workers, [] { return false; }};
  std::shared_ptr<rpc::client> client = std::make_shared<rpc::client>(1000, local);
  fake_link a{"a"};
  fake_link b{"b"};
  std::shared_ptr<member_load> load_a = std::make_shared<member_load>();
  std::shared_ptr<member_load> load_b = std::make_shared<member_load>();

  explicit bench(bool both = true, offer offered = {}) {
    std::vector<route> all;
    all.push_back(to(a, load_a, offered));
    if (both)
      all.push_back(to(b, load_b, offered));
    client->reroute(std::make_shared<const routes>(std::move(all)));
  }

  static route to(fake_link& link, std::shared_ptr<member_load> load, const offer& offered) {
    route result;
    result.who = link.link->peer();
    result.link = link.link;
    result.offered = std::make_shared<const offer>(offered);
    result.load = std::move(load);
    return result;
  }

  outcome start(call_traits how) {
    auto result = std::make_shared<std::optional<caf::expected<bytes>>>();
    call begun;
    begun.whom = target::region("ams");
    begun.name = "f";
    begun.wanted = signature{"()->str"};
    begun.arguments = std::make_shared<const bytes>(2);
    begun.begun = clock_type::now();
    begun.deadline = begun.begun + 1h;
    begun.traits = std::move(how);
    begun.reply = [result](caf::expected<bytes> value) {
      CHECK_FALSE(result->has_value());
      *result = std::move(value);
    };
    client->start(std::move(begun));
    return result;
  }

  /// Returns the id of the next call that was sent to `link`; nothing where there is none.
  static std::optional<call_message> next(fake_link& link) {
    while (auto frame = link.next())
      if (frame->first == call_frame)
        return parse_call(bytes_of(frame->second))
                   ? std::optional{*parse_call(bytes_of(frame->second))}
                   : std::nullopt;
    return std::nullopt;
  }

  /// Returns which of the two got the call.
  std::pair<fake_link*, std::uint64_t> who_has_it() {
    if (auto at_a = next(a))
      return {&a, at_a->id};
    if (auto at_b = next(b))
      return {&b, at_b->id};
    return {nullptr, 0};
  }
  fake_link& other(const fake_link& one) { return &one == &a ? b : a; }

  void answer(fake_link& from, std::uint64_t id, caf::error reason = {}) {
    CHECK_FALSE(client->on_answer(from.link, bytes_of(head_of(answer_message{id, reason, {}}))));
  }
};

} // namespace

TEST_CASE("a call that may run twice goes to another member when its own is lost") {
  bench it;
  auto result = it.start({.idempotent = true});
  auto [first, id] = it.who_has_it();
  REQUIRE(first != nullptr);

  first->link->close();
  it.client->on_link_down(first->link, make_error(errc::member_lost, "gone"));
  it.client->drive(clock_type::now() + 1s);

  auto& second = it.other(*first);
  auto again = bench::next(second);
  REQUIRE(again);
  CHECK(again->id != id); // what ends the first attempt is no answer to this one
  it.answer(second, again->id);
  REQUIRE(*result);
  CHECK(**result);
}

TEST_CASE("a plain call whose member is lost is not made again") {
  bench it;
  auto result = it.start({});
  auto [first, id] = it.who_has_it();

  it.client->on_link_down(first->link, make_error(errc::member_lost, "gone"));

  REQUIRE(*result);
  CHECK((*result)->error() == errc::member_lost);
}

TEST_CASE("a call that was made again never says that nothing ran") {
  bench it;
  auto result = it.start({.idempotent = true});
  auto [first, id] = it.who_has_it();
  first->link->close();
  it.client->on_link_down(first->link, make_error(errc::member_lost, "gone"));
  it.client->drive(clock_type::now() + 1s);
  auto& second = it.other(*first);
  auto again = bench::next(second);
  REQUIRE(again);

  it.answer(second, again->id, make_error(errc::unknown_function, "no such thing"));

  REQUIRE(*result);
  CHECK((*result)->error() == errc::member_lost);
  CHECK(text_of((*result)->error()).find("no such thing") != std::string::npos);
}

TEST_CASE("a member that does not answer in its time is left for another one, and told so") {
  bench it;
  auto result = it.start({.idempotent = true, .attempt_max = 100ms});
  auto [first, id] = it.who_has_it();
  auto now = clock_type::now();

  it.client->drive(now + 50ms);
  CHECK_FALSE(bench::next(it.other(*first)));
  it.client->drive(now + 200ms);
  it.client->drive(now + 2s);

  auto frame = first->next();
  REQUIRE(frame);
  CHECK(frame->first == cancel_frame);
  auto& second = it.other(*first);
  auto again = bench::next(second);
  REQUIRE(again);
  it.answer(*first, id); // too late: the call is elsewhere
  it.answer(*first, again->id);
  CHECK_FALSE(*result);
  it.answer(second, again->id);
  CHECK(*result);
}

TEST_CASE("the end of an earlier attempt is no answer to a later one at the same member") {
  bench it{false};
  auto result = it.start({.idempotent = true, .attempt_max = 100ms});
  auto first = bench::next(it.a);
  REQUIRE(first);
  auto now = clock_type::now();
  it.client->drive(now); // the routes are new
  it.client->drive(now + 200ms);
  auto cancel = it.a.next();
  REQUIRE(cancel);
  CHECK(parse_cancel(bytes_of(cancel->second))->id == first->id);
  it.client->drive(now + 1s); // there is no other member
  it.client->drive(now + 2s);
  auto second = bench::next(it.a);
  REQUIRE(second);
  CHECK(it.client->waiting() == 0);

  it.answer(it.a, first->id, make_error(errc::timeout, "returned after it was cancelled"));
  it.answer(it.a, first->id, no_place("full", 1h));
  CHECK_FALSE(*result);
  CHECK(it.client->waiting() == 0);
  it.client->drive(now + 3s); // this attempt's time is over, too
  auto frame = it.a.next();
  REQUIRE(frame);
  CHECK(frame->first == cancel_frame);
  CHECK(parse_cancel(bytes_of(frame->second))->id == second->id);
}

TEST_CASE("retries stay within their budget: a tenth of the calls, and ten to begin with") {
  bench it{false};
  std::vector<outcome> all;
  for (int i = 0; i < 100; ++i)
    all.push_back(it.start({.idempotent = true}));

  it.client->on_link_down(it.a.link, make_error(errc::member_lost, "gone"));

  int failed = 0;
  for (const auto& each : all)
    failed += each->has_value() ? 1 : 0;
  CHECK(failed == 80);
  CHECK(it.client->waiting() == 20);
}

TEST_CASE(
    "where all are full a call that may run twice asks again, and a plain one fails at once") {
  bench it{false};
  auto full = no_place("full", 30ms);
  auto plain = it.start({});
  it.answer(it.a, bench::next(it.a)->id, full);
  REQUIRE(*plain);
  CHECK((*plain)->error() == errc::overloaded);

  auto patient = it.start({.idempotent = true});
  it.answer(it.a, bench::next(it.a)->id, full);
  CHECK_FALSE(*patient);
  it.client->drive(clock_type::now() + 1s);
  auto again = bench::next(it.a);
  REQUIRE(again);
  it.answer(it.a, again->id);
  CHECK(*patient);
}

TEST_CASE("a member that is full or does not answer is left alone for a while") {
  bench it;
  for (auto* each : {&it.load_a, &it.load_b}) {
    CAPTURE(each == &it.load_a);
    auto load = *each;
    CHECK_FALSE(load->health.rests(clock_type::now()));
  }
  it.start({});
  auto [first, id] = it.who_has_it();
  it.answer(*first, id, no_place("full", 5000ms));
  auto& rested = first == &it.a ? *it.load_a : *it.load_b;
  CHECK(rested.health.rests(clock_type::now()));
  auto& second = it.other(*first);
  it.answer(second, bench::next(second)->id);

  for (int i = 0; i < 20; ++i) {
    it.start({});
    CHECK(bench::next(second));
    CHECK_FALSE(bench::next(*first));
  }
}

TEST_CASE("a member that does not serve a function any more is left for one that announces it") {
  const caf::error gone =
      make_error(errc::unknown_function, "no function f", {{not_served_detail, "1"}});
  bench it{true, {{"f", {signature{"()->str"}.fingerprint}}}};
  auto result = it.start({});
  auto [first, id] = it.who_has_it();

  it.answer(*first, id, gone);

  CHECK_FALSE(*result);
  auto& second = it.other(*first);
  auto again = bench::next(second);
  REQUIRE(again);
  it.answer(second, again->id, gone); // neither of the two: it ends at once
  REQUIRE(*result);
  CHECK((*result)->error() == errc::unknown_function);
}

TEST_CASE("a function that nobody announces, or that itself returns the error, fails at once") {
  const caf::error gone =
      make_error(errc::unknown_function, "no function f", {{not_served_detail, "1"}});
  bench nobody{true, {{"g", {1}}}};
  auto unknown = nobody.start({});
  auto [asked, id] = nobody.who_has_it();
  nobody.answer(*asked, id, gone);
  REQUIRE(*unknown);
  CHECK((*unknown)->error() == errc::unknown_function);

  bench it{true, {{"f", {signature{"()->str"}.fingerprint}}}};
  auto returned = it.start({});
  auto [ran, ran_id] = it.who_has_it();
  it.answer(*ran, ran_id, make_error(errc::unknown_function, "no function g"));
  REQUIRE(*returned);
  CHECK((*returned)->error() == errc::unknown_function);
}

TEST_CASE("a cast is over once it is sent, and says so on the wire") {
  bench it{false};
  auto result = it.start({.cast = true});
  auto sent = bench::next(it.a);

  REQUIRE(sent);
  CHECK(sent->cast);
  REQUIRE(*result);
  CHECK(**result);
  CHECK(it.client->calls() == 0);
  it.answer(it.a, sent->id); // of a member that does not know the flag
}

TEST_CASE("a trace goes only to members that announce that they read it") {
  const std::string trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  bench old{false};
  old.start({.trace = trace});
  CHECK(bench::next(old.a)->trace.empty());

  bench now{false, {{std::string{trace_feature}, {1}}}};
  now.start({.trace = trace});
  auto frame = now.a.next();
  REQUIRE(frame);
  CHECK(parse_call(bytes_of(frame->second))->trace == trace);
}
