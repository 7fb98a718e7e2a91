// Proves who is primary: by label until a database has answered, then by what the databases say.
#include "fly/cluster/primary.hpp"

#include <algorithm>

#include <doctest/doctest.h>

using namespace fly::cluster;

namespace {

using role = enum claim::role;

member_view view(const std::string& id, const std::string& region, role what = role::none,
                 std::uint32_t timeline = 1, std::uint64_t system = 1) {
  member_view result;
  result.who = {.id = id, .incarnation = 1, .region = region};
  result.linked = true;
  result.database.role = what;
  if (what == role::primary || what == role::replica) {
    result.database.system = system;
    result.database.timeline = timeline;
  }
  return result;
}

std::vector<std::string> group(primary& rule, std::vector<member_view> views) {
  rule.update(views);
  std::vector<std::string> ids;
  for (const auto& who : rule.state().group)
    ids.push_back(who.id);
  return ids;
}

using ids = std::vector<std::string>;

} // namespace

TEST_CASE("before anybody is seen nobody is primary, and the region is the label") {
  primary rule{"syd"};

  CHECK(rule.state().group.empty());
  CHECK(rule.state().region == "syd");
  CHECK_FALSE(rule.update({}));
}

TEST_CASE("without a database the members of the labelled region are primary") {
  primary rule{"syd"};

  CHECK(group(rule, {view("b", "syd"), view("c", "lax"), view("a", "syd")}) == ids{"a", "b"});
  CHECK(rule.state().region == "syd");
  CHECK_FALSE(rule.state().by_database);
}

TEST_CASE("a database that has not answered yet, or cannot be reached, does not count") {
  primary rule{"syd"};

  CHECK(group(rule, {view("a", "syd", role::unknown), view("b", "lax", role::unreachable)}) ==
        ids{"a"});
  CHECK_FALSE(rule.state().by_database);
}

TEST_CASE("the first answer of a database ends the rule of the label for good") {
  primary rule{"syd"};

  CHECK(group(rule, {view("a", "syd", role::replica), view("b", "lax", role::unknown)}).empty());
  CHECK(rule.state().region == "syd");
  CHECK(group(rule, {view("a", "syd", role::replica), view("b", "lax", role::primary)}) ==
        ids{"b"});
  CHECK(rule.state().region == "lax");
  CHECK(group(rule, {view("a", "syd"), view("b", "lax", role::unreachable)}).empty());
  CHECK(rule.state().region == "lax"); // the last known one
}

TEST_CASE("the highest timeline wins, and all on it are primary") {
  primary rule{"syd"};

  CHECK(group(rule, {view("old", "syd", role::primary, 3), view("b", "lax", role::primary, 4),
                     view("a", "lax", role::primary, 4), view("r", "ams", role::replica, 5)}) ==
        ids{"a", "b"});
  CHECK(rule.state().timeline == 4);
  CHECK(rule.state().region == "lax");
}

TEST_CASE("another system does not win by its timeline, unless more members have it") {
  primary rule{"syd"};
  auto ours = view("a", "syd", role::primary, 1, 7);
  auto replica = view("b", "lax", role::replica, 1, 7);
  auto foreign = view("x", "ams", role::primary, 9, 8);
  auto foreign_too = view("y", "ams", role::replica, 9, 8);

  CHECK(group(rule, {ours, replica, foreign}) == ids{"a"});
  CHECK(group(rule, {ours, foreign}) == ids{"a"}); // equally common: the smaller identifier
  CHECK(group(rule, {ours, foreign, foreign_too}) == ids{"x"});
}

TEST_CASE("who has no link is not primary, self always can be") {
  primary rule{"syd"};
  auto lost = view("a", "syd", role::primary);
  lost.linked = false;
  lost.state = presence::suspect;
  auto self = view("b", "syd", role::primary);
  self.linked = false;
  self.state = presence::self;
  auto slow = view("c", "syd", role::primary);
  slow.state = presence::suspect;

  CHECK(group(rule, {lost, self, slow}) == ids{"b", "c"});
}

TEST_CASE("a primary on an older timeline does not come back when the later one is lost") {
  primary rule{"syd"};
  auto fresh = view("b", "lax", role::primary, 2);
  auto zombie = view("a", "syd", role::primary, 1);
  CHECK(group(rule, {zombie}) == ids{"a"});
  CHECK(group(rule, {zombie, fresh}) == ids{"b"});

  fresh.linked = false;

  CHECK(group(rule, {zombie, fresh}).empty());
  CHECK(group(rule, {zombie}).empty());
  CHECK(rule.state().region == "lax");
  zombie.database.timeline = 3;
  CHECK(group(rule, {zombie}) == ids{"a"});
}

TEST_CASE("an update says whether anything has changed") {
  primary rule{"syd"};
  std::vector<member_view> views{view("a", "syd", role::primary)};
  CHECK(rule.update(views));
  CHECK_FALSE(rule.update(views));

  views[0].database.lsn = 99;
  CHECK_FALSE(rule.update(views));
  views[0].database.timeline = 2;
  CHECK(rule.update(views));
}

namespace {

/// A writable database of `server` on timeline 1.
member_view on_server(const std::string& id, std::uint64_t server, std::uint32_t timeline = 1) {
  auto result = view(id, "syd", role::primary, timeline);
  result.database.server = server;
  return result;
}

} // namespace

TEST_CASE("two writable servers of one timeline: who was primary stays, and the other is named") {
  primary rule{"syd"};
  REQUIRE(group(rule, {on_server("a", 10), on_server("b", 10)}) == ids{"a", "b"});

  CHECK(group(rule, {on_server("a", 10), on_server("b", 10), on_server("c", 11)}) == ids{"a", "b"});
  CHECK(rule.state().conflict == ids{"c"});
  CHECK(rule.state().server == 10);
  CHECK(group(rule, {on_server("a", 10), on_server("b", 10)}) == ids{"a", "b"});
  CHECK(rule.state().conflict.empty());
}

TEST_CASE("two that come at once: nobody is primary, both are named") {
  primary rule{"syd"};

  CHECK(group(rule, {on_server("a", 10), on_server("c", 11)}).empty());
  CHECK(rule.state().conflict == ids{"a", "c"});
  CHECK(group(rule, {on_server("c", 11)}) == ids{"c"});
  CHECK(rule.state().conflict.empty());
}

TEST_CASE("a server that was started again is no conflict") {
  primary rule{"syd"};
  REQUIRE(group(rule, {on_server("a", 10)}) == ids{"a"});
  CHECK(group(rule, {on_server("a", 20)}) == ids{"a"});
  CHECK(rule.state().conflict.empty());
  CHECK(rule.state().server == 20);
}

TEST_CASE(
    "a conflict ends with the promotion of one of them, who is on the old timeline is named") {
  primary rule{"syd"};
  group(rule, {on_server("a", 10), on_server("c", 11)});

  CHECK(group(rule, {on_server("a", 10), on_server("c", 11, 2)}) == ids{"c"});
  CHECK(rule.state().conflict.empty());
  CHECK(rule.state().zombies == ids{"a"});
}

TEST_CASE("what changes is told once, and how bad it is") {
  primary_state before;
  before.timeline = 1;
  auto now = before;
  CHECK(changes(before, now).empty());
  now.timeline = 2;
  now.region = "lax";
  now.zombies = {"a"};
  auto told = changes(before, now);
  REQUIRE(told.size() == 2);
  CHECK(told[0].second == "the primary has moved to lax, timeline 2");
  CHECK(told[1].first == log_level::error);
  CHECK(changes(now, now).empty());
}

namespace {

member_view with_lease(member_view of, epoch lease, bool leads) {
  of.database.lease = lease;
  of.database.leads = leads;
  return of;
}

std::string leader(primary& rule, std::vector<member_view> views) {
  rule.update(views);
  return rule.state().leader;
}

} // namespace

TEST_CASE("without a lease the smallest id of the primary group leads") {
  primary rule{"syd"};

  CHECK(leader(rule, {view("b", "syd"), view("a", "syd"), view("0", "lax")}) == "a");
  CHECK(leader(rule, {view("b", "syd", role::primary), view("a", "lax", role::replica)}) == "b");
  CHECK(leader(rule, {view("a", "lax", role::replica)}).empty());
  CHECK(rule.state().lease == epoch{});
}

TEST_CASE("who holds the lease leads, and nobody where one is known and nobody holds it") {
  primary rule{"syd"};
  auto a = view("a", "syd", role::primary);
  auto b = view("b", "syd", role::primary);

  CHECK(leader(rule, {with_lease(a, {1, 0}, false), b}).empty()); // it has not answered yet
  CHECK(leader(rule, {with_lease(a, {1, 1}, false), with_lease(b, {1, 1}, true)}) == "b");
  CHECK(rule.state().lease == epoch{1, 1});
  CHECK(leader(rule, {with_lease(a, {1, 1}, false), with_lease(b, {1, 1}, false)}).empty());
}

TEST_CASE("of two who say that they lead the one of the higher epoch does") {
  primary rule{"syd"};
  auto a = view("a", "syd", role::primary);
  auto b = view("b", "syd", role::primary);

  CHECK(leader(rule, {with_lease(a, {1, 9}, true), with_lease(b, {2, 3}, true)}) == "b");
  CHECK(leader(rule, {with_lease(a, {2, 4}, true), with_lease(b, {2, 3}, true)}) == "a");
  // Somebody has read of a later turn than the one who says so.
  CHECK(leader(rule, {with_lease(a, {2, 4}, true), with_lease(b, {2, 5}, false)}).empty());
}

TEST_CASE("who is not in the primary group does not lead, whatever it says") {
  primary rule{"syd"};
  auto a = with_lease(view("a", "syd", role::primary, 2), {2, 1}, false);
  auto zombie = with_lease(view("z", "syd", role::primary, 1), {1, 7}, true);
  auto cut_off = with_lease(view("b", "syd", role::primary, 2), {2, 2}, true);
  cut_off.linked = false;

  CHECK(leader(rule, {a, zombie, cut_off}).empty());
  CHECK(rule.state().lease == epoch{2, 1});
}

TEST_CASE("while two servers claim to be primary nobody leads") {
  primary rule{"syd"};
  auto a = with_lease(view("a", "syd", role::primary), {1, 1}, true);
  auto b = with_lease(view("b", "lax", role::primary), {1, 2}, true);
  b.database.server = 5;

  CHECK(leader(rule, {a, b}).empty());
}

TEST_CASE("each change of the leader is worth a line, and one of no lease is none") {
  auto state = [](epoch lease, const std::string& leader) {
    primary_state result;
    result.lease = lease;
    result.leader = leader;
    return result;
  };
  auto nobody = state({}, "");
  auto first = state({1, 1}, "a");
  auto second = state({1, 2}, "b");
  auto gone = state({1, 2}, "");

  auto text = [](const primary_state& before, const primary_state& now) {
    auto lines = changes(before, now);
    return lines.empty() ? std::string{} : lines.front().second;
  };
  CHECK(text(nobody, first) == "a leads, epoch 1/1");
  CHECK(text(first, second) == "b leads, epoch 1/2");
  CHECK(text(second, gone) == "nobody leads; b did, epoch 1/2");
  CHECK(text(gone, gone).empty());
  CHECK(text(nobody, state({}, "a")).empty());
}
