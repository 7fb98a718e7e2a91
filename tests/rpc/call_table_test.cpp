// Proves that each call leaves the table once, whatever comes in which order.
#include "fly/rpc/call_table.hpp"

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"

using namespace fly;
using namespace fly::rpc;
using namespace std::chrono_literals;

namespace {

const call_table::time_point zero{1h};
const int link_a = 0;
const int link_b = 0;

call call_to(target whom, std::chrono::milliseconds timeout = 1s) {
  call result;
  result.whom = std::move(whom);
  result.name = "shop.shout";
  result.begun = zero;
  result.deadline = zero + timeout;
  return result;
}

std::uint64_t add(call_table& table, std::chrono::milliseconds timeout = 1s) {
  auto begun = call_to(target::region("hkg"), timeout);
  return *table.add(begun);
}

std::uint64_t add_sent(call_table& table, route_key via) {
  auto id = add(table);
  table.sent(id, table.sending(id, via, "b1"));
  return id;
}

/// Takes out the call whose last attempt `via` answers.
bool answer(call_table& table, std::uint64_t id, route_key via) {
  auto* each = table.find(id);
  auto* sent = each == nullptr ? nullptr : table.find_sent(each->sent_as, via);
  return sent != nullptr && table.take(sent->id);
}

} // namespace

TEST_CASE("an answer ends a call once") {
  call_table table{8};
  auto id = add_sent(table, &link_a);

  CHECK(answer(table, id, &link_a));
  CHECK_FALSE(answer(table, id, &link_a));
  CHECK_FALSE(table.take(id));
  CHECK(table.size() == 0);
}

TEST_CASE("only the member that was asked can answer") {
  call_table table{8};
  auto id = add_sent(table, &link_a);
  auto waiting = add(table);

  CHECK_FALSE(answer(table, id, &link_b));
  CHECK_FALSE(answer(table, waiting, &link_a));
  CHECK_FALSE(answer(table, 99, &link_a));
  CHECK(table.size() == 2);
}

TEST_CASE("an answer may come before the sending thread says that it has sent") {
  call_table table{8};
  auto id = add(table);
  auto attempt = table.sending(id, &link_a, "b1");

  CHECK(answer(table, id, &link_a));
  table.sent(id, attempt);
  CHECK(table.find(id) == nullptr);
}

TEST_CASE("a refused call waits again and forgets who it was sent to") {
  call_table table{8};
  auto id = add_sent(table, &link_a);

  CHECK(table.refuse(id, &link_a, make_error(errc::not_primary, "no")));
  CHECK_FALSE(table.refuse(id, &link_a, make_error(errc::not_primary, "no")));

  CHECK(table.due(zero) == std::vector{id});
  CHECK(table.find(id)->refused == std::vector<std::string>{"b1"});
  CHECK_FALSE(answer(table, id, &link_a));
}

TEST_CASE("what a slow thread says of an old attempt changes nothing") {
  call_table table{8};
  auto id = add(table);
  auto first = table.sending(id, &link_a, "b1");
  table.refuse(id, &link_a, make_error(errc::not_primary, "no"));
  table.sending(id, &link_b, "b2");

  table.sent(id, first);

  CHECK_FALSE(table.is_current(id, first));
  CHECK(table.find(id)->state == call_state::sending);
}

TEST_CASE("a resting call is due later each time, between 5 and 500 ms") {
  call_table table{8};
  auto id = add(table);
  std::chrono::nanoseconds longest{0};
  for (int round = 0; round < 12; ++round) {
    table.sending(id, &link_a, "b1");
    table.refuse(id, &link_a, make_error(errc::not_primary, "no"));
    table.rest(id, zero, 1);
    auto pause = table.find(id)->due - zero;
    CHECK(pause >= 5ms);
    CHECK(pause <= 500ms);
    longest = std::max<std::chrono::nanoseconds>(longest, pause);
    CHECK(table.find(id)->refused.empty());
    CHECK(table.due(zero).empty());
    CHECK(table.due(zero + 500ms).size() == 1);
  }
  CHECK(longest >= 250ms);
}

TEST_CASE("a lost link takes the calls that were sent over it, and no others") {
  call_table table{8};
  auto lost = add_sent(table, &link_a);
  auto kept = add_sent(table, &link_b);
  auto waiting = add(table);
  auto sending = add(table);
  table.sending(sending, &link_a, "b1");

  CHECK(table.lose(&link_a).size() == 1);

  CHECK(table.find(lost) == nullptr);
  CHECK(table.find(kept) != nullptr);
  CHECK(table.find(waiting) != nullptr);
  CHECK(table.find(sending) != nullptr);
  CHECK(table.lose(&link_a).empty());
}

TEST_CASE("calls expire at their deadline and not before") {
  call_table table{8};
  add(table, 10ms);
  add(table, 20ms);

  CHECK(table.expire(zero + 10ms - 1ns).empty());
  CHECK(table.expire(zero + 10ms).size() == 1);
  CHECK(table.expire(zero + 10ms).empty());
  CHECK(table.expire(zero + 1h).size() == 1);
}

TEST_CASE("an id is never used again, also where its place is, or where a flood has passed") {
  call_table table{10'000};
  std::set<std::uint64_t> ids;
  for (int round = 0; round < 3; ++round) {
    std::vector<std::uint64_t> now;
    for (int i = 0; i < 3'000; ++i)
      now.push_back(add(table));
    for (auto id : now) {
      CHECK(ids.insert(id).second);
      CHECK(table.take(id));
    }
    if (round > 0)
      CHECK(table.expire(zero).empty()); // forgets the places
    for (auto id : now)
      CHECK(table.find(id) == nullptr);
  }
}

TEST_CASE("a changed cluster wakes every waiting call") {
  call_table table{8};
  auto waiting = add(table);
  add_sent(table, &link_a);
  CHECK(table.due(zero + 1h).empty());

  CHECK(table.changed() == std::vector{waiting});
  CHECK(table.waiting() == 1);
}

TEST_CASE("the number of calls is bounded, and a refused one stays with its caller") {
  call_table table{2};
  add(table);
  auto last = add(table);
  auto begun = call_to(target::primary());

  auto refused = table.add(begun);

  CHECK(refused.error() == errc::overloaded);
  CHECK(begun.name == "shop.shout");
  table.take(last);
  CHECK(table.add(begun));
}

TEST_CASE("the error of an unanswered call says what is known") {
  auto now = zero + 1500ms;
  auto region = no_answer(call_to(target::region("hkg")), now, "ams (1)");
  CHECK(region == errc::no_node_in_region);
  CHECK(text_of(region) ==
        "no member in region hkg for shop.shout within 1500 ms; regions seen: ams (1)");
  CHECK(no_answer(call_to(target::primary()), now, "none") == errc::no_primary);
  CHECK(no_answer(call_to(target::member("m")), now, "none") == errc::no_such_member);

  auto refused = call_to(target::primary());
  refused.refusal = make_error(errc::not_primary, "read-only");
  CHECK(text_of(no_answer(refused, now, "none"))
            .ends_with("; the last answer was not_primary: read-only"));

  auto sent = call_to(target::primary());
  sent.state = call_state::sent;
  sent.via_id = "m";
  CHECK(no_answer(sent, now, "none") == errc::timeout);
  CHECK(text_of(no_answer(sent, now, "none")) == "no answer to shop.shout from m within 1500 ms");
}

TEST_CASE("in any order of events each call leaves exactly once") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    call_table table{64};
    std::map<std::uint64_t, std::uint32_t> attempts;
    std::set<std::uint64_t> alive;
    std::size_t left = 0;
    const int* links[] = {&link_a, &link_b};
    auto gone = [&](std::size_t count) { left += count; };
    for (int step = 0; step < 500; ++step) {
      const auto* via = links[random() % 2];
      auto id =
          alive.empty() ? 0 : *std::next(alive.begin(), static_cast<long>(random() % alive.size()));
      auto* each = table.find(id);
      switch (random() % 8) {
      case 0:
        if (alive.size() < 64)
          alive.insert(add(table, std::chrono::milliseconds{random() % 1000}));
        break;
      case 1:
        if (each != nullptr && each->state == call_state::waiting)
          attempts[id] = table.sending(id, via, "b1");
        break;
      case 2:
        table.sent(id, attempts[id]);
        break;
      case 3:
        gone(answer(table, id, via) ? 1 : 0);
        break;
      case 4:
        table.refuse(id, via, make_error(errc::not_primary, "no"));
        break;
      case 5:
        gone(random() % 8 == 0 && table.take(id) ? 1 : 0);
        break;
      case 6:
        gone(random() % 8 == 0 ? table.lose(via).size() : 0);
        break;
      default:
        gone(table.expire(zero + std::chrono::milliseconds{step}).size());
      }
      REQUIRE(table.size() + left == alive.size());
      if (alive.size() == 64 && table.size() == 0)
        break;
    }
    gone(table.drain().size());
    CHECK(left == alive.size());
    CHECK(table.size() == 0);
  }
}
