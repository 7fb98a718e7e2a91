// Proves that each id is there once, in its latest incarnation, and that the pick spreads.
#include "fly/cluster/directory.hpp"

#include <array>
#include <random>

#include <doctest/doctest.h>

using namespace fly::cluster;

namespace {

using change = directory::change;

member who(const std::string& id, std::uint64_t incarnation = 1,
           const std::string& region = "syd") {
  return {.id = id, .incarnation = incarnation, .region = region};
}

member_view loaded(const std::string& id, std::uint32_t load, presence state = presence::alive) {
  member_view result;
  result.who = who(id);
  result.load = load;
  result.state = state;
  return result;
}

} // namespace

TEST_CASE("a later incarnation replaces an older one, and an older one is refused") {
  directory all;
  CHECK(all.put(who("a", 5), {}) == change::added);
  all.find("a")->load = 9;
  CHECK(all.put(who("a", 5), {}) == change::known);
  CHECK(all.find("a")->load == 9);
  CHECK(all.put(who("a", 4), {}) == change::refused);
  CHECK(all.find("a")->who.incarnation == 5);

  CHECK(all.test(who("a", 6)) == change::replaced);
  CHECK(all.put(who("a", 6), {}) == change::replaced);

  CHECK(all.find("a")->load == 0); // nothing of the older one stays
  CHECK(all.size() == 1);
  CHECK(all.erase("a"));
  CHECK_FALSE(all.erase("a"));
  CHECK(all.find("a") == nullptr);
}

TEST_CASE("an observer takes nobody's place, and leaves its own to a member") {
  directory all;
  auto visitor = who("a", 6);
  visitor.observer = true;
  REQUIRE(all.put(who("a", 5), {}) == change::added);

  CHECK(all.put(visitor, {}) == change::refused);
  CHECK_FALSE(all.find("a")->who.observer);
  CHECK(all.erase("a"));
  REQUIRE(all.put(visitor, {}) == change::added);
  CHECK(all.put(visitor, {}) == change::known);
  CHECK(all.put(who("a", 5), {}) == change::replaced);

  CHECK(all.find("a")->who == who("a", 5));
}

TEST_CASE("members are listed by region, then id, without observers") {
  directory all;
  auto visitor = who("c", 1, "ams");
  visitor.observer = true;
  for (const auto& one : {who("b"), who("a"), who("z", 1, "ams"), visitor})
    all.put(one, {});

  std::vector<std::string> ids;
  for (const auto& view : all.views())
    ids.push_back(view.who.id);

  CHECK(ids == std::vector<std::string>{"z", "a", "b"});
  CHECK(all.size() == 4);
}

TEST_CASE("a pick is one of those there, and none of nobody") {
  std::vector<member_view> one{loaded("a", 3)};

  CHECK(pick({}, 0) == nullptr);
  CHECK(pick({}, UINT64_MAX) == nullptr);
  CHECK(pick(one, 0) == &one[0]);
  CHECK(pick(one, UINT64_MAX) == &one[0]);
}

TEST_CASE("of two the less loaded is picked, whatever the random number") {
  std::vector<member_view> two{loaded("a", 3), loaded("b", 2)};
  std::mt19937_64 random{1};

  for (int i = 0; i < 1000; ++i)
    CHECK(pick(two, random()) == &two[1]);
}

TEST_CASE("a suspect is picked only beside another suspect") {
  std::vector<member_view> two{loaded("a", 0, presence::suspect), loaded("b", 900)};
  std::vector<member_view> both{loaded("a", 5, presence::suspect),
                                loaded("b", 4, presence::suspect)};
  std::mt19937_64 random{2};

  for (int i = 0; i < 100; ++i) {
    CHECK(pick(two, random()) == &two[1]);
    CHECK(pick(both, random()) == &both[1]);
  }
}

TEST_CASE("equal loads are picked equally often, and the most loaded of many never") {
  std::vector<member_view> even{loaded("a", 1), loaded("b", 1), loaded("c", 1), loaded("d", 1)};
  std::vector<member_view> odd{loaded("a", 1), loaded("b", 9), loaded("c", 1), loaded("d", 1)};
  std::array<int, 4> counts{};
  std::mt19937_64 random{3};

  for (int i = 0; i < 40'000; ++i) {
    ++counts[static_cast<std::size_t>(pick(even, random()) - even.data())];
    CHECK(pick(odd, random()) != &odd[1]);
  }

  for (auto count : counts) {
    CHECK(count > 9000);
    CHECK(count < 11'000);
  }
}
