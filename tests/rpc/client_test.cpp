// Proves that a call is sent where it can run, goes elsewhere where nothing ran, and ends once.
#include "fly/rpc/client.hpp"

#include <doctest/doctest.h>

#include "fake_link.hpp"
#include "fly/actors/error.hpp"
#include "fly/rpc/server.hpp"

using namespace fly;
using namespace fly::rpc;
using namespace fly::test;
using namespace std::chrono_literals;
using cluster::bytes_of;

namespace {

using outcome = std::optional<caf::expected<bytes>>;

/// A client whose members are the test.
struct bench {
  actors::worker_pool workers{{.threads = 1, .queue_max = 1, .name = "test"}};
  rpc::server local{workers, [] { return false; }};
  std::shared_ptr<rpc::client> client = std::make_shared<rpc::client>(4, local);
  fake_link a{"a", {.frame_bytes_max = 1000, .unsent_bytes_max = 1000}};
  fake_link b{"b", {.frame_bytes_max = 1000, .unsent_bytes_max = 1000}};

  void connect(std::vector<fake_link*> links) {
    std::vector<route> all;
    for (auto* each : links) {
      route to;
      to.who = each->link->peer();
      to.link = each->link;
      to.primary = true;
      to.offered = std::make_shared<const offer>();
      to.load = std::make_shared<member_load>();
      all.push_back(std::move(to));
    }
    client->reroute(std::make_shared<const routes>(std::move(all)));
  }

  std::uint64_t start(std::shared_ptr<outcome> to, target whom = target::region("ams"),
                      std::size_t size = 2, std::shared_ptr<call_trace> trace = {}) {
    call begun;
    begun.whom = std::move(whom);
    begun.name = "f";
    begun.wanted = signature{"()->str"};
    begun.arguments = std::make_shared<const bytes>(size);
    begun.begun = std::chrono::steady_clock::now();
    begun.deadline = begun.begun + 1h;
    begun.trace = std::move(trace);
    begun.reply = [to](caf::expected<bytes> value) {
      CHECK_FALSE(to->has_value());
      *to = std::move(value);
    };
    return client->start(std::move(begun));
  }

  void answer(fake_link& from, std::uint64_t id, caf::error reason = {}) {
    CHECK_FALSE(client->on_answer(from.link, bytes_of(head_of(answer_message{id, reason, {}}))));
  }

  static std::optional<call_message> sent_to(fake_link& link) {
    auto frame = link.next();
    if (!frame || frame->first != call_frame)
      return std::nullopt;
    return *parse_call(bytes_of(frame->second));
  }
};

std::shared_ptr<outcome> slot() {
  return std::make_shared<outcome>();
}

} // namespace

TEST_CASE("a call is sent with what is left of its time, and its answer ends it") {
  bench it;
  it.connect({&it.a});
  auto result = slot();

  auto id = it.start(result);

  auto sent = bench::sent_to(it.a);
  REQUIRE(sent);
  CHECK(sent->id == id);
  CHECK(sent->budget > 59min);
  CHECK(sent->arguments.size() == 2);
  CHECK_FALSE(sent->primary_only);
  it.answer(it.a, id);
  REQUIRE(*result);
  CHECK(**result);
  CHECK(it.client->calls() == 0);
  it.answer(it.a, id); // a second answer is dropped
}

TEST_CASE("a call that is traced asks for the parts, and tells who had it last and since when") {
  bench it;
  it.connect({&it.a});
  auto trace = std::make_shared<call_trace>();
  auto result = slot();
  auto id = it.start(result, target::primary(), 2, trace);
  auto sent = bench::sent_to(it.a);
  REQUIRE(sent);
  CHECK(sent->timed);
  auto first = trace->handed_at;
  REQUIRE(first);

  it.answer(it.a, id, make_error(errc::not_primary, "no")); // the only one: it waits again
  CHECK_FALSE(trace->handed_at);
  CHECK(trace->member == "a");
  it.connect({&it.b});
  it.client->drive(std::chrono::steady_clock::now());
  auto again = bench::sent_to(it.b);
  REQUIRE(again);
  answer_message answer{again->id, {}, {}};
  answer.parts.add(queue_part, 7us);
  CHECK_FALSE(it.client->on_answer(it.b.link, bytes_of(head_of(answer))));

  REQUIRE(*result);
  CHECK(trace->member == "b");
  CHECK(*trace->handed_at > *first);
  CHECK(*trace->answered_at >= *trace->handed_at);
  CHECK(trace->parts.of(queue_part) == 7us);
}

TEST_CASE("a call that nobody traces asks for nothing") {
  bench it;
  it.connect({&it.a});

  it.start(slot());

  CHECK_FALSE(bench::sent_to(it.a)->timed);
}

TEST_CASE("a call waits for a member and is sent when one comes") {
  bench it;
  auto result = slot();
  it.start(result);
  CHECK(it.client->waiting() == 1);

  it.connect({&it.a});
  it.client->drive(std::chrono::steady_clock::now());

  CHECK(bench::sent_to(it.a));
  CHECK(it.client->waiting() == 0);
}

TEST_CASE("a member that is not primary is left for another one") {
  bench it;
  it.connect({&it.a, &it.b});
  auto result = slot();
  auto id = it.start(result, target::primary());
  auto first = bench::sent_to(it.a);
  auto& refuser = first ? it.a : it.b;
  auto& other = first ? it.b : it.a;
  if (!first)
    first = bench::sent_to(it.b);
  REQUIRE(first);
  CHECK(first->primary_only);

  it.answer(refuser, id, make_error(errc::not_primary, "no"));

  CHECK_FALSE(*result);
  auto second = bench::sent_to(other);
  REQUIRE(second);
  CHECK(second->id != id);
  it.answer(refuser, id); // who refused has nothing more to say
  it.answer(refuser, second->id);
  CHECK_FALSE(*result);
  it.answer(other, second->id);
  CHECK(**result);
}

TEST_CASE("where all refuse the call rests, and asks again") {
  bench it;
  it.connect({&it.a});
  auto result = slot();
  auto id = it.start(result, target::primary());
  for (int round = 0; round < 3; ++round) {
    auto sent = bench::sent_to(it.a);
    REQUIRE(sent);
    it.answer(it.a, sent->id, make_error(errc::not_primary, "no"));
    CHECK(it.client->waiting() == 1);
    it.client->drive(std::chrono::steady_clock::now() + 1s);
  }
  it.client->end(id);

  REQUIRE(*result);
  CHECK((*result)->error() == errc::timeout); // the last attempt may have run
}

TEST_CASE("a full link is left for another member; where all are full the call fails at once") {
  bench it;
  it.connect({&it.a, &it.b});
  std::vector<char> filler(990);
  REQUIRE_FALSE(it.a.link->send(cluster::frame_kind{99}, bytes_of(filler)));
  for (int i = 0; i < 3; ++i) {
    auto result = slot();
    it.start(result);
    auto sent = bench::sent_to(it.b);
    REQUIRE(sent);
    it.answer(it.b, sent->id);
    CHECK(**result);
  }
  REQUIRE_FALSE(it.b.link->send(cluster::frame_kind{99}, bytes_of(std::vector<char>(860))));
  auto result = slot();

  it.start(result);

  REQUIRE(*result);
  CHECK((*result)->error() == errc::overloaded);
  CHECK(it.client->calls() == 0);
}

TEST_CASE("a closed link is left for another member, and waited for where there is none") {
  bench it;
  it.connect({&it.a});
  it.a.link->close();
  auto result = slot();
  it.start(result);
  CHECK(it.client->waiting() == 1);

  it.connect({&it.a, &it.b});
  it.client->drive(std::chrono::steady_clock::now());

  CHECK(bench::sent_to(it.b));
}

TEST_CASE("arguments above the bound of a frame fail at once, nothing ran") {
  bench it;
  it.connect({&it.a, &it.b});
  auto result = slot();

  it.start(result, target::region("ams"), 2000);

  REQUIRE(*result);
  CHECK((*result)->error() == errc::frame_too_large);
}

TEST_CASE("a lost link fails the calls that were sent over it, at once") {
  bench it;
  it.connect({&it.a});
  auto result = slot();
  it.start(result);

  it.client->on_link_down(it.a.link, make_error(errc::member_lost, "silence"));

  REQUIRE(*result);
  CHECK((*result)->error() == errc::member_lost);
  CHECK(text_of((*result)->error()).find("silence") != std::string::npos);
}

TEST_CASE("a caller that gives up tells the member, and an answer after that is dropped") {
  bench it;
  it.connect({&it.a});
  auto result = slot();
  auto id = it.start(result);
  REQUIRE(bench::sent_to(it.a));

  it.client->end(id);

  CHECK((*result)->error() == errc::timeout);
  auto frame = it.a.next();
  REQUIRE(frame);
  CHECK(frame->first == cancel_frame);
  CHECK(parse_cancel(bytes_of(frame->second))->id == id);
  it.answer(it.a, id);
  it.client->end(id);
}

TEST_CASE("the text of a mismatch has both signatures") {
  bench it;
  it.connect({&it.a});
  auto result = slot();
  auto id = it.start(result);

  it.answer(it.a, id, make_error(errc::signature_mismatch, "f is served as (i32)->str"));

  CHECK(text_of((*result)->error()) == "f is served as (i32)->str by a and called as ()->str");
}

TEST_CASE("calls are bounded, and end with the client") {
  bench it;
  std::vector<std::shared_ptr<outcome>> results;
  for (int i = 0; i < 5; ++i)
    it.start(results.emplace_back(slot()));
  CHECK((**results[4]).error() == errc::overloaded);

  it.client->close();

  CHECK((**results[0]).error() == errc::shutting_down);
  auto late = slot();
  it.start(late);
  CHECK((**late).error() == errc::shutting_down);
}

TEST_CASE("a result goes to the sink as it lies, an error and a long one to the reply") {
  bench it;
  it.connect({&it.a});
  std::size_t sunk = 0;
  const char* where = nullptr;
  auto answered = [&](const caf::error& reason, std::size_t length) {
    auto result = slot();
    auto id = it.start(result);
    std::string text(length, 'x');
    auto payload = head_of(answer_message{id, reason, {}});
    payload.insert(payload.end(), text.begin(), text.end());
    sunk = 0;
    CHECK_FALSE(it.client->on_answer(it.a.link, bytes_of(payload), [&](std::span<const char> part) {
      sunk = part.size();
      where = part.data();
      CHECK_FALSE(*result);
    }));
    if (sunk > 0)
      CHECK(where == payload.data() + payload.size() - length);
    return *result;
  };

  auto short_one = answered({}, 3);
  REQUIRE(short_one);
  CHECK((*short_one)->empty());
  CHECK(sunk == 3);
  auto long_one = answered({}, 1'000'000);
  REQUIRE(long_one);
  CHECK((*long_one)->size() == 1'000'000);
  CHECK(sunk == 0);
  auto failed = answered(make_error(errc::function_failed, "no"), 0);
  REQUIRE(failed);
  CHECK(failed->error() == errc::function_failed);
  CHECK(sunk == 0);
}

TEST_CASE("a malformed answer is an error and ends nothing") {
  bench it;
  it.connect({&it.a});
  auto result = slot();
  it.start(result);

  CHECK(it.client->on_answer(it.a.link, bytes_of(std::vector<char>{1})) == errc::malformed_frame);
  CHECK_FALSE(*result);
}
