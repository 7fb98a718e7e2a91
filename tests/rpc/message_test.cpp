// Proves that the frames of this floor come back as they were, and that no bytes crash the reader.
#include "fly/rpc/message.hpp"

#include <random>
#include <string>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/cluster/wire.hpp"

using namespace fly;
using namespace fly::rpc;
using namespace std::chrono_literals;
using cluster::bytes_of;

namespace {

std::vector<char> a_call() {
  auto payload = head_of(call_message{7, 8, 9us, true, "shop.shout", {}});
  payload.insert(payload.end(), {'a', 'b'});
  return payload;
}

std::vector<char> an_error() {
  return head_of(
      answer_message{7, make_error(errc::sql_failed, "no", {{"sqlstate", "23505"}}), {}});
}

answer_message with_parts(caf::error reason) {
  answer_message result{7, std::move(reason), {}};
  result.parts.add(queue_part, 5us);
  result.parts.add(function_part, 1h);
  return result;
}

template <class T>
void check_read_or_malformed(const caf::expected<T>& parsed) {
  if (!parsed)
    REQUIRE(parsed.error() == errc::malformed_frame);
}

} // namespace

TEST_CASE("a call comes back as it was") {
  auto payload = a_call();

  auto parsed = parse_call(bytes_of(payload));

  REQUIRE(parsed);
  CHECK(parsed->id == 7);
  CHECK(parsed->fingerprint == 8);
  CHECK(parsed->budget == 9us);
  CHECK(parsed->primary_only);
  CHECK(parsed->name == "shop.shout");
  CHECK(parsed->arguments.size() == 2);
}

TEST_CASE("a budget is cut down to its bounds") {
  auto budget = [](std::chrono::microseconds given) {
    auto payload = head_of(call_message{1, 0, given, false, "x", {}});
    return parse_call(bytes_of(payload))->budget;
  };
  CHECK(budget(-5s) == 0us);
  CHECK(budget(budget_max + 1us) == budget_max);

  auto forged = a_call();
  for (int i = 16; i < 24; ++i)
    forged[i] = '\xff';
  CHECK(parse_call(bytes_of(forged))->budget == budget_max);
}

TEST_CASE("a result comes back as it was, also an empty one") {
  auto payload = head_of(answer_message{7, {}, {}});
  CHECK(parse_answer(bytes_of(payload))->result.empty());
  payload.push_back('x');

  auto parsed = parse_answer(bytes_of(payload));

  REQUIRE(parsed);
  CHECK(parsed->id == 7);
  CHECK_FALSE(parsed->reason);
  CHECK(parsed->result.size() == 1);
}

TEST_CASE("an error comes back with code, text and details") {
  auto payload = an_error();

  auto parsed = parse_answer(bytes_of(payload));

  REQUIRE(parsed);
  CHECK(parsed->reason == errc::sql_failed);
  CHECK(text_of(parsed->reason) == "no");
  CHECK(details_of(parsed->reason).at("sqlstate") == "23505");
}

TEST_CASE("a code of a later version is kept") {
  auto payload = head_of(answer_message{7, make_error(errc{200}, "new"), {}});

  CHECK(code_of(parse_answer(bytes_of(payload))->reason) == errc{200});
}

TEST_CASE("a caller asks for the parts of the time by a flag, which costs others nothing") {
  call_message plain{1, 0, 1s, true, "x", {}};
  auto timed = plain;
  timed.timed = true;

  CHECK_FALSE(parse_call(bytes_of(head_of(plain)))->timed);
  auto parsed = parse_call(bytes_of(head_of(timed)));
  CHECK(parsed->timed);
  CHECK(parsed->primary_only);
  CHECK(head_of(timed).size() == head_of(plain).size());
}

TEST_CASE("a trace comes before the arguments by a flag, and one that is none is not told") {
  const std::string trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  auto sent = [](std::string_view what) {
    call_message call{7, 8, std::chrono::microseconds{9}, true, "f", {}, false, true, what};
    auto payload = head_of(call);
    payload.push_back('x');
    return payload;
  };
  auto payload = sent(trace);
  auto read = parse_call(bytes_of(payload));
  REQUIRE(read);
  CHECK(read->trace == trace);
  CHECK(read->cast);
  CHECK(read->primary_only);
  CHECK(read->name == "f");
  CHECK(read->arguments.size() == 1);

  auto wrong = sent("nonsense");
  REQUIRE(parse_call(bytes_of(wrong)));
  CHECK(parse_call(bytes_of(wrong))->trace.empty());
  CHECK(parse_call(bytes_of(wrong))->arguments.size() == 1);

  auto none = sent("");
  CHECK(none.size() + 4 + trace.size() == payload.size());
}

TEST_CASE("the parts of the time come before a result and before an error") {
  auto payload = head_of(with_parts({}));
  payload.push_back('x');
  auto parsed = parse_answer(bytes_of(payload));
  REQUIRE(parsed);
  CHECK_FALSE(parsed->reason);
  CHECK(parsed->result.size() == 1);
  CHECK(parsed->parts.of(queue_part) == 5us);
  CHECK(parsed->parts.of(function_part) == 1h);

  auto failed = parse_answer(bytes_of(head_of(with_parts(make_error(errc::sql_failed, "no")))));
  REQUIRE(failed);
  CHECK(failed->reason == errc::sql_failed);
  CHECK(failed->parts.all().size() == 2);
}

TEST_CASE("a part of the time that nobody can believe is cut down to its bound") {
  auto payload = head_of(with_parts({}));
  for (std::size_t i = 0; i < 8; ++i) // of the queue: id, status, count, length, name
    payload[8 + 1 + 1 + 4 + queue_part.size() + i] = '\xff';

  CHECK(parse_answer(bytes_of(payload))->parts.of(queue_part) == part_max);
}

TEST_CASE("names are 1 to 200 bytes") {
  for (auto [length, good] : {std::pair{0, false}, {1, true}, {200, true}, {201, false}}) {
    std::string name(static_cast<std::size_t>(length), 'n');
    auto payload = head_of(call_message{1, 0, 1s, false, name, {}});
    CHECK(static_cast<bool>(parse_call(bytes_of(payload))) == good);
  }
}

TEST_CASE("payloads that are cut off are malformed") {
  auto call = a_call();
  for (std::size_t length = 0; length < call.size() - 2; ++length)
    CHECK(parse_call(bytes_of(call).first(length)).error() == errc::malformed_frame);
  auto error = an_error();
  for (std::size_t length = 0; length < error.size(); ++length)
    CHECK(parse_answer(bytes_of(error).first(length)).error() == errc::malformed_frame);
  auto timed = head_of(with_parts(make_error(errc::timeout, "late")));
  for (std::size_t length = 0; length < timed.size(); ++length)
    CHECK(parse_answer(bytes_of(timed).first(length)).error() == errc::malformed_frame);
  auto cancel = head_of(cancel_message{7});
  CHECK(parse_cancel(bytes_of(cancel))->id == 7);
  CHECK_FALSE(parse_cancel(bytes_of(cancel).first(7)));
  cancel.push_back(0);
  CHECK_FALSE(parse_cancel(bytes_of(cancel)));
}

TEST_CASE("mutated payloads are read or malformed, and nothing else") {
  std::mt19937_64 random{17};
  for (int round = 0; round < 20'000; ++round) {
    auto payload = random() % 2 == 0   ? a_call()
                   : random() % 2 == 0 ? an_error()
                                       : head_of(with_parts(make_error(errc::timeout, "late")));
    for (auto changes = random() % 4 + 1; changes > 0; --changes)
      payload[random() % payload.size()] = static_cast<char>(random());
    payload.resize(random() % (payload.size() + 1));
    check_read_or_malformed(parse_call(bytes_of(payload)));
    check_read_or_malformed(parse_answer(bytes_of(payload)));
    check_read_or_malformed(parse_cancel(bytes_of(payload)));
  }
}
