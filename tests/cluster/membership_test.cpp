// Proves in virtual time who is dialled and when, who is suspect and gone, what a freeze of the
// other side and of this one do, and which connection stays when a peer starts anew.
#include "fly/cluster/membership.hpp"

#include <algorithm>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"

using namespace std::chrono_literals;
using namespace fly::cluster;
using fly::errc;

namespace {

member who(const std::string& id, std::uint64_t incarnation = 1) {
  return {.id = id, .incarnation = incarnation, .region = "syd", .address = id + ":1"};
}

/// A membership of node "m" with a clock that the test moves.
struct world {
  explicit world(membership_options options = {}) : members{with_self(options), now, {}} {}

  static membership_options with_self(membership_options options) {
    options.self = who("m", 100);
    options.dial = {.first = 100ms, .max = 1600ms};
    return options;
  }

  membership_actions tick(std::chrono::milliseconds by = 250ms) {
    now += by;
    return members.tick(now, {});
  }

  /// Ticks until `time` has passed, hearing of `lively` all along. Returns all that was to be done.
  membership_actions pass(std::chrono::milliseconds time, std::vector<link_id> lively = {}) {
    membership_actions all;
    for (auto end = now + time; now < end;) {
      auto todo = tick();
      for (auto link : lively)
        all.changed |= members.on_heard(link, now);
      auto append = [](auto& to, auto& from) { to.insert(to.end(), from.begin(), from.end()); };
      append(all.dials, todo.dials);
      append(all.beats, todo.beats);
      append(all.closes, todo.closes);
      append(all.notes, todo.notes);
      all.changed |= todo.changed;
    }
    return all;
  }

  /// A peer dials in and proves itself. Returns its link, 0 where it was refused.
  link_id accept(const member& peer, membership_actions* todo = nullptr) {
    membership_actions ignored;
    auto link = members.on_accepted(now).first;
    auto refused = members.on_proved(link, peer, now, {}, todo != nullptr ? *todo : ignored);
    return refused ? 0 : link;
  }

  presence state(const std::string& id) const {
    const auto* view = members.members().find(id);
    REQUIRE(view != nullptr);
    return view->state;
  }

  bool knows(const std::string& id) const { return members.members().find(id) != nullptr; }

  membership::time_point now{1000s};
  membership members;
};

} // namespace

TEST_CASE("discovered addresses are dialled once each, and never the own one") {
  world w;
  w.members.on_addresses({"a:1", "b:1", "m:1"});

  auto first = w.tick();

  REQUIRE(first.dials.size() == 2);
  CHECK(first.dials[0].address == "a:1");
  CHECK(first.dials[1].address == "b:1");
  CHECK(w.tick().dials.empty()); // under way
}

TEST_CASE("an address that fails is tried again, later each time, up to the longest delay") {
  world w;
  w.members.on_addresses({"a:1"});
  std::vector<std::chrono::milliseconds> gaps;
  auto last = w.now;
  while (gaps.size() < 10) {
    w.now += 10ms;
    auto todo = w.members.tick(w.now, {});
    if (todo.dials.empty())
      continue;
    gaps.push_back(std::chrono::duration_cast<std::chrono::milliseconds>(w.now - last));
    last = w.now;
    w.members.on_closed(todo.dials[0].link, {}, w.now);
  }

  CHECK(gaps[1] >= 50ms);
  CHECK(gaps[1] <= 110ms);
  CHECK(gaps[9] >= 800ms);
  CHECK(gaps[9] <= 1610ms);
}

TEST_CASE("addresses that never answer take no turn from those that have not been tried") {
  world w;
  std::vector<std::string> addresses{"z:1"};
  for (int i = 0; i < 600; ++i)
    addresses.push_back("dead" + std::to_string(i) + ":1");
  w.members.on_addresses(addresses);

  auto all = w.pass(45s); // 601 addresses, 64 at a time, three seconds each

  CHECK(std::any_of(all.dials.begin(), all.dials.end(),
                    [](const auto& each) { return each.address == "z:1"; }));
}

TEST_CASE("an address where this node answers is dialled no more") {
  world w;
  w.members.on_addresses({"alias:1"});
  auto link = w.tick().dials.at(0).link;

  w.members.on_own(link);

  CHECK(w.pass(60s).dials.empty());
  CHECK(w.members.links() == 0);
}

TEST_CASE("a linked member is not dialled, neither where it listens nor where it was reached") {
  world w;
  w.accept(who("a"));
  w.members.on_addresses({"a:1", "alias:1"});
  auto dials = w.tick().dials;
  REQUIRE(dials.size() == 1);
  CHECK(dials[0].address == "alias:1");

  CHECK(w.members.on_peer_known(dials[0].link, who("a"), w.now) == membership::answer::close);

  CHECK(w.pass(4s).dials.empty());
  CHECK(w.members.links() == 1);
}

TEST_CASE("a member whose link is lost is suspect, dialled where it listens, and gone in time") {
  world w;
  auto link = w.accept(who("a"));
  CHECK(w.state("a") == presence::alive);

  auto lost = w.members.on_closed(link, fly::make_error(errc::member_lost, "reset"), w.now);

  CHECK(lost.changed);
  CHECK(w.state("a") == presence::suspect);
  CHECK_FALSE(w.members.members().find("a")->linked);
  auto dials = w.tick().dials;
  REQUIRE(dials.size() == 1); // though discovery does not know it
  CHECK(dials[0].address == "a:1");
  w.members.on_closed(dials[0].link, {}, w.now);
  w.pass(4500ms);
  CHECK(w.knows("a"));
  w.pass(500ms);
  CHECK_FALSE(w.knows("a"));
  CHECK(w.pass(60s).dials.empty()); // nobody names it any more
}

TEST_CASE("a member that comes back in time is the same one") {
  world w;
  auto link = w.accept(who("a"));
  w.members.on_services(link, "greet");
  auto since = w.members.members().find("a")->since;
  w.members.on_closed(link, {}, w.now);

  auto again = w.accept(who("a"));

  CHECK(again != 0);
  CHECK(w.state("a") == presence::alive);
  CHECK(w.members.members().find("a")->services == "greet");
  CHECK(w.members.members().find("a")->since == since);
}

TEST_CASE("a silent member is suspect after half of the silence, gone after all of it") {
  world w;
  auto silent = w.accept(who("a"));
  auto lively = w.accept(who("b"));

  w.pass(2250ms, {lively});
  CHECK(w.state("a") == presence::alive);
  CHECK(w.pass(250ms, {lively}).changed);
  CHECK(w.state("a") == presence::suspect);
  CHECK(w.pass(2250ms, {lively}).closes.empty());
  auto end = w.pass(250ms, {lively});

  REQUIRE(end.closes.size() == 1);
  CHECK(end.closes[0].link == silent);
  CHECK(end.closes[0].reason == errc::member_lost);
  CHECK_FALSE(w.knows("a"));
  CHECK(w.state("b") == presence::alive);
}

TEST_CASE("one sign of life ends the suspicion") {
  world w;
  auto link = w.accept(who("a"));
  w.pass(3s);
  REQUIRE(w.state("a") == presence::suspect);

  CHECK(w.members.on_heard(link, w.now));
  CHECK_FALSE(w.members.on_heard(link, w.now));

  CHECK(w.state("a") == presence::alive);
}

TEST_CASE("after a freeze of this node nobody is gone before what they sent can be read") {
  world w;
  auto link = w.accept(who("a"));
  w.pass(2s, {link});

  auto thawed = w.tick(1h);
  CHECK(thawed.closes.empty());
  CHECK(w.state("a") == presence::alive);
  CHECK(w.knows("a"));

  w.pass(4500ms); // and it does not buy silence beyond the usual
  CHECK(w.knows("a"));
  w.pass(500ms);
  CHECK_FALSE(w.knows("a"));
}

TEST_CASE("bytes that are read first after a freeze do not stretch the silence") {
  world w;
  auto link = w.accept(who("a"));
  w.now += 1h;
  w.members.on_heard(link, w.now);

  w.pass(4750ms);
  CHECK(w.knows("a"));
  w.pass(500ms);
  CHECK_FALSE(w.knows("a"));
}

TEST_CASE("a clock that goes back changes nothing") {
  world w;
  auto link = w.accept(who("a"));
  auto before = w.now;
  w.now -= 10s;
  CHECK(w.tick().closes.empty());
  w.members.on_heard(link, w.now);
  w.now = before;

  CHECK(w.pass(2s, {link}).closes.empty());
  CHECK(w.state("a") == presence::alive);
}

TEST_CASE("heartbeats are due at once and then each second, on each link") {
  world w;
  auto a = w.accept(who("a"));
  auto b = w.accept(who("b"));

  CHECK(w.tick().beats == std::vector{a, b});
  auto beats = w.pass(4s, {a, b}).beats;

  CHECK(std::count(beats.begin(), beats.end(), a) == 4);
  CHECK(std::count(beats.begin(), beats.end(), b) == 4);
}

TEST_CASE("a heartbeat tells claim and load, and gives the round trip") {
  world w;
  auto link = w.accept(who("a"));
  w.members.set_own_load(3);
  w.members.set_own_claim({.role = claim::role::replica, .timeline = 2});
  w.now += 100ms;
  auto mine = w.members.make_beat(link, w.now);
  CHECK(mine.load == 3);
  CHECK(mine.database.timeline == 2);
  CHECK(mine.echo_us == 0);

  w.now += 30ms; // there, 10 ms held, and back
  beat theirs{.sent_us = 77, .echo_us = mine.sent_us, .held_us = 10'000, .load = 5};
  theirs.database.role = claim::role::primary;
  CHECK(w.members.on_beat(link, theirs, w.now));
  theirs.database.lsn = 5;
  CHECK_FALSE(w.members.on_beat(link, theirs, w.now));

  const auto& view = *w.members.members().find("a");
  CHECK(view.round_trip == 20ms);
  CHECK(view.load == 5);
  CHECK(view.database.lsn == 5);
  w.now += 40ms;
  auto next = w.members.make_beat(link, w.now);
  CHECK(next.echo_us == 77);
  CHECK(next.held_us == 40'000);
}

TEST_CASE("a round trip that cannot be is not believed") {
  world w;
  auto link = w.accept(who("a"));
  w.now += 100ms;

  w.members.on_beat(link, {.sent_us = 1, .echo_us = UINT64_MAX}, w.now);
  w.members.on_beat(link, {.sent_us = 1, .echo_us = 1, .held_us = UINT64_MAX}, w.now);

  CHECK(w.members.members().find("a")->round_trip == 0us);
}

TEST_CASE("a goodbye ends a member at once, and it may come back") {
  world w;
  auto link = w.accept(who("a"));

  auto todo = w.members.on_goodbye(link, w.now);

  REQUIRE(todo.closes.size() == 1);
  CHECK(todo.closes[0].link == link);
  CHECK(todo.changed);
  CHECK_FALSE(w.knows("a"));
  CHECK(w.members.link_to("a") == 0);
  CHECK(w.accept(who("a")) != 0);
}

TEST_CASE("a later incarnation takes the place of the older one, an older one is refused") {
  world w;
  auto old = w.accept(who("a", 5));
  w.members.on_services(old, "greet");
  membership_actions todo;

  auto fresh = w.accept(who("a", 6), &todo);

  CHECK(fresh != 0);
  REQUIRE(todo.closes.size() == 1);
  CHECK(todo.closes[0].link == old);
  CHECK(w.members.link_to("a") == fresh);
  CHECK(w.members.members().find("a")->services.empty());
  auto link = w.members.on_accepted(w.now).first;
  CHECK(w.members.on_proved(link, who("a", 5), w.now, {}, todo) == refusal::stale);
  w.members.on_addresses({"alias:1"});
  auto dialled = w.tick().dials.at(0).link;
  CHECK(w.members.on_peer_known(dialled, who("a", 5), w.now) == membership::answer::close);
}

TEST_CASE("a dial that was overtaken by a later incarnation is closed when it is welcomed") {
  world w;
  w.members.on_addresses({"alias:1"});
  auto dialled = w.tick().dials.at(0).link;
  CHECK(w.members.on_peer_known(dialled, who("z", 5), w.now) == membership::answer::go_on);
  auto fresh = w.accept(who("z", 6));

  auto todo = w.members.on_established(dialled, who("z", 5), w.now, {});

  REQUIRE(todo.closes.size() == 1);
  CHECK(todo.closes[0].link == dialled);
  CHECK(w.members.link_to("z") == fresh);
}

TEST_CASE("a second proof replaces an established link only when that is old enough") {
  world w;
  auto first = w.accept(who("a"));
  w.pass(2750ms, {first});
  CHECK(w.accept(who("a")) == 0);
  w.pass(250ms, {first});
  membership_actions todo;

  auto second = w.accept(who("a"), &todo);

  CHECK(second != 0);
  REQUIRE(todo.closes.size() == 1);
  CHECK(todo.closes[0].link == first);
}

TEST_CASE("of two that dial at once the lower id's connection stays") {
  for (bool own_is_lower : {true, false}) {
    world w;
    auto peer = who(own_is_lower ? "z" : "a");
    w.members.on_addresses({peer.address});
    auto dialled = w.tick().dials.at(0).link;
    CHECK(w.members.on_peer_known(dialled, peer, w.now) == membership::answer::go_on);

    auto accepted = w.accept(peer);

    CHECK((accepted == 0) == own_is_lower);
  }
}

TEST_CASE("strangers have their time, and the oldest makes room") {
  world w{{.strangers_max = 3}};
  std::vector<link_id> links;
  for (int i = 0; i < 3; ++i) {
    auto [link, todo] = w.members.on_accepted(w.now);
    CHECK(todo.closes.empty());
    links.push_back(link);
    w.now += 100ms;
  }
  auto [fourth, todo] = w.members.on_accepted(w.now);
  REQUIRE(todo.closes.size() == 1);
  CHECK(todo.closes[0].link == links[0]);

  auto closed = w.pass(3s).closes;

  CHECK(closed.size() == 3);
  CHECK(w.members.links() == 0);
  CHECK(w.members.on_proved(fourth, who("a"), w.now, {}, todo) == refusal::duplicate);
}

TEST_CASE("a dial without an answer is given up and tried again") {
  world w;
  w.members.on_addresses({"a:1"});
  w.tick();

  auto later = w.pass(4s);

  CHECK(later.closes.size() == 1);
  CHECK(later.dials.size() == 1);
}

TEST_CASE("an observer is linked but in no list, and forgotten with its link") {
  world w;
  auto visitor = who("v");
  visitor.observer = true;
  visitor.address = "";

  auto link = w.accept(visitor);

  CHECK(w.members.link_to("v") == link);
  CHECK(w.members.members().views().size() == 1);
  w.members.on_closed(link, {}, w.now);
  CHECK_FALSE(w.knows("v"));
}

TEST_CASE("an observer with a member's id is refused, and the member's link stays") {
  world w;
  auto member_link = w.accept(who("a"));
  auto visitor = who("a", 2);
  visitor.observer = true;
  membership_actions todo;
  auto link = w.members.on_accepted(w.now).first;

  CHECK(w.members.on_proved(link, visitor, w.now, {}, todo) == refusal::same_id);

  CHECK(todo.closes.empty());
  CHECK(w.members.link_to("a") == member_link);
}

TEST_CASE("events of links that are gone do nothing") {
  world w;
  CHECK_FALSE(w.members.on_heard(9, w.now));
  CHECK_FALSE(w.members.on_beat(9, {}, w.now));
  CHECK_FALSE(w.members.on_services(9, "x"));
  CHECK(w.members.on_goodbye(9, w.now).closes.empty());
  CHECK(w.members.on_closed(9, {}, w.now).notes.empty());
  CHECK(w.members.on_peer_known(9, who("a"), w.now) == membership::answer::close);
  w.members.on_own(9);
  CHECK(w.members.make_beat(9, w.now).echo_us == 0);
}
