// Proves who is woken by which progress: each wait ends exactly once, none is lost, none is early.
#include "fly/repo/waiters.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <random>

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using fly::repo::judge;
using fly::repo::lsn;
using fly::repo::position;
using fly::repo::progress;
using fly::repo::verdict;
using fly::repo::waiters;

namespace {

const waiters::time_point start{};
const auto later = start + 5s;

position at(std::uint64_t where, std::optional<std::uint64_t> xid = {}) {
  return {.system = 9, .timeline = 2, .lsn = lsn{where}, .xid = xid};
}

progress seen(std::uint64_t where, std::vector<std::uint64_t> xids = {}) {
  return {.system = 9, .timeline = 2, .lsn = lsn{where}, .visible_xids = std::move(xids)};
}

} // namespace

TEST_CASE("a position is visible from the moment its LSN is reached") {
  CHECK(judge(at(100), seen(99)) == verdict::wait);
  CHECK(judge(at(100), seen(100)) == verdict::visible);
  CHECK(judge(at(100), seen(101)) == verdict::visible);
}

TEST_CASE("a position is visible where its own transaction is") {
  CHECK(judge(at(100, 7), seen(99, {6, 8})) == verdict::wait);
  CHECK(judge(at(100, 7), seen(99, {8, 7})) == verdict::visible);
  CHECK(judge(at(100), seen(99, {7})) == verdict::wait);
}

TEST_CASE("LSN and transaction id count on the position's own system and timeline only") {
  auto server = seen(1000, {7});
  server.system = 8;
  CHECK(judge(at(100, 7), server) == verdict::foreign);

  server = seen(1000, {7});
  server.timeline = 1;
  CHECK(judge(at(100, 7), server) == verdict::wait);
  server.in_recovery = false; // an old primary stays where it is
  CHECK(judge(at(100, 7), server) == verdict::foreign);
}

TEST_CASE("on a higher timeline a position counts up to where its own was left") {
  auto server = seen(1000, {7});
  server.timeline = 3;
  CHECK(judge(at(100, 7), server) == verdict::wait); // nobody has told of the switch yet

  server.history.add(3, {2, lsn{100}});
  CHECK(judge(at(100), server) == verdict::visible);
  CHECK(judge(at(101), server) == verdict::lost);
  CHECK(judge(at(101, 7), server) == verdict::lost); // the id may be another transaction's now
  server.lsn = lsn{99}; // it knows of the switch, and has not replayed up to there
  CHECK(judge(at(100), server) == verdict::wait);

  server.history = {};
  server.history.add(3, {2, std::nullopt});
  CHECK(judge(at(1), server) == verdict::lost);
  server.history = {};
  server.history.add(3, {1, lsn{900}}); // 2 was left aside
  CHECK(judge(at(1), server) == verdict::lost);
}

TEST_CASE("all that are satisfied end, the others stay") {
  waiters all{10};
  auto a = *all.add(at(100), later);
  auto b = *all.add(at(100), later);
  auto c = *all.add(at(101), later);

  CHECK(all.advance(seen(99)).empty());
  CHECK(all.advance(seen(100)) ==
        std::vector<waiters::outcome>{{a, verdict::visible}, {b, verdict::visible}});
  CHECK(all.size() == 1);
  CHECK(all.advance(seen(100)).empty());
  CHECK(all.advance(seen(200)) == std::vector<waiters::outcome>{{c, verdict::visible}});
  CHECK(all.empty());
}

TEST_CASE("fault 23: a wait whose LSN no replica reaches ends by its transaction id") {
  waiters all{10};
  auto border = *all.add(at(0x2000, 7), later);
  auto same_id = *all.add(at(0x3000, 7), later);
  all.add(at(0x2000, 8), later);

  CHECK(all.xids(10) == std::vector<std::uint64_t>{7, 8});
  CHECK(all.advance(seen(0x1FFF, {7})) ==
        std::vector<waiters::outcome>{{border, verdict::visible}, {same_id, verdict::visible}});
  CHECK(all.xids(10) == std::vector<std::uint64_t>{8});
}

TEST_CASE("a wait that is satisfied twice over ends once") {
  waiters all{10};
  auto a = *all.add(at(100, 7), later);

  CHECK(all.advance(seen(100, {7, 7})) == std::vector<waiters::outcome>{{a, verdict::visible}});
  auto b = *all.add(at(200, 7), later);
  CHECK(all.advance(seen(100, {7, 7})) == std::vector<waiters::outcome>{{b, verdict::visible}});
  CHECK(all.empty());
}

TEST_CASE("a wait for another system ends as foreign at the first progress") {
  waiters all{10};
  auto foreign = at(1, 7);
  foreign.system = 8;
  auto a = *all.add(foreign, later);
  all.add(at(100), later);

  CHECK(all.advance(seen(0)) == std::vector<waiters::outcome>{{a, verdict::foreign}});
  CHECK(all.size() == 1);
}

TEST_CASE("fault 2: any number may wait, for one position or for many") {
  waiters all{1000};
  for (int i = 0; i < 500; ++i) {
    all.add(at(100), later);
    all.add(at(std::uint64_t(100 + i)), later);
  }

  CHECK(all.advance(seen(100)).size() == 501);
  CHECK(all.advance(seen(600)).size() == 499);
}

TEST_CASE("one more than the bound is refused, until another has ended") {
  waiters all{2};
  auto a = all.add(at(1), later);
  CHECK(all.add(at(2), later));
  CHECK_FALSE(all.add(at(3), later));

  CHECK(all.cancel(*a));
  CHECK(all.add(at(3), later));
  CHECK_FALSE(waiters{0}.add(at(1), later));
}

TEST_CASE("a wait that was cancelled is gone, and cancelling again says so") {
  waiters all{2};
  auto a = *all.add(at(100, 7), later);

  CHECK(all.cancel(a));
  CHECK_FALSE(all.cancel(a));
  CHECK(all.advance(seen(100, {7})).empty());
  CHECK(all.xids(1).empty());
  CHECK_FALSE(all.next_deadline());
}

TEST_CASE("a wait ends at its deadline, not before, and nothing stays behind") {
  waiters all{10};
  auto b = *all.add(at(200, 7), start + 2s);
  auto a = *all.add(at(100), start + 1s);
  CHECK(all.next_deadline() == start + 1s);

  CHECK(all.expire(start + 1s - 1ns).empty());
  CHECK(all.expire(start + 1s) == std::vector<waiters::ticket>{a});
  CHECK(all.next_deadline() == start + 2s);
  CHECK(all.expire(start + 9s) == std::vector<waiters::ticket>{b});
  CHECK(all.empty());
  CHECK(all.advance(seen(1000, {7})).empty());
  CHECK_FALSE(all.any_above(0));
}

TEST_CASE("the ids to ask for are the smallest, each once, up to a bound") {
  waiters all{10};
  for (std::uint64_t xid : {5, 3, 5, 9, 3})
    all.add(at(1, xid), later);

  CHECK(all.xids(0).empty());
  CHECK(all.xids(2) == std::vector<std::uint64_t>{3, 5});
  CHECK(all.xids(3) == std::vector<std::uint64_t>{3, 5, 9});
  CHECK(all.xids(9) == std::vector<std::uint64_t>{3, 5, 9});
}

TEST_CASE("waits for a higher timeline are known") {
  waiters all{10};
  all.add(at(1), later);

  CHECK(all.any_above(1));
  CHECK_FALSE(all.any_above(2));
}

TEST_CASE("against a plain list of waits, random runs end the same ones") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    auto below = [&](std::uint64_t n) { return random() % n; };
    waiters all{50};
    std::map<waiters::ticket, std::pair<position, waiters::time_point>> model;
    for (int step = 0; step < 300; ++step) {
      if (below(3) > 0) {
        auto where = at(below(60));
        where.system = 8 + below(8) / 7;
        where.timeline = std::uint32_t(1 + below(3));
        if (below(2))
          where.xid = 1 + below(9);
        auto deadline = start + std::chrono::seconds(below(400));
        auto who = all.add(where, deadline);
        CHECK(who.has_value() == (model.size() < 50));
        if (who)
          model[*who] = {where, deadline};
      } else if (below(2)) {
        auto server = seen(below(60), {1 + below(9), 1 + below(9)});
        server.system = 8 + below(2);
        server.timeline = std::uint32_t(1 + below(3));
        server.in_recovery = below(4) > 0;
        if (below(2))
          server.history.add(2, {1, lsn{below(60)}});
        if (below(2))
          server.history.add(3, {std::uint32_t(1 + below(2)), lsn{below(60)}});
        auto ended = all.advance(server);
        for (const auto& [who, what] : ended) {
          REQUIRE(model.count(who) == 1);
          CHECK(judge(model[who].first, server) == what);
          model.erase(who);
        }
        for (const auto& [who, wait] : model)
          CHECK(judge(wait.first, server) == verdict::wait);
      } else {
        auto now = start + std::chrono::seconds(step);
        for (auto who : all.expire(now)) {
          REQUIRE(model.count(who) == 1);
          CHECK(model[who].second <= now);
          model.erase(who);
        }
        CHECK(std::none_of(model.begin(), model.end(),
                           [&](const auto& it) { return it.second.second <= now; }));
      }
      CHECK(all.size() == model.size());
    }
  }
}
