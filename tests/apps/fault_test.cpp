// Proves what is decided of faults without a process: their names in a history, what passes between
// regions, what a nemesis chooses from its seed, and that a keeper is asked and answers.
#include "apps/local/fault.hpp"

#include <filesystem>
#include <set>
#include <string>
#include <thread>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <poll.h>
#include <stdlib.h> // mkdtemp

#include "apps/local/control.hpp"
#include "apps/local/nemesis_plan.hpp"
#include "apps/local/region_rules.hpp"

using namespace std::chrono_literals;
using namespace fly::local;

TEST_CASE("a fault has the name and the target of its line in a history") {
  auto told = [](const fault& what) { return what.name() + " " + what.target(); };

  CHECK(told({.kind = "freeze", .part = "node", .region = "lax"}) == "freeze-node lax");
  CHECK(told({.kind = "kill", .part = "database", .region = "lax"}) ==
        "kill-database database-lax");
  CHECK(told({.kind = "freeze", .part = "dns"}) == "freeze-dns dns");
  CHECK(told({.kind = "cut", .region = "lax"}) == "cut-both-ways lax");
  CHECK(told({.kind = "cut", .region = "lax", .one_way = "in"}) == "cut-one-way lax");
  CHECK(told({.kind = "delay", .region = "lax", .delay = 9ms}) == "delay lax");
  CHECK(told({.kind = "promote", .region = "lax"}) == "promote database-lax");
  CHECK(told({.kind = "rebuild"}) == "rebuild databases");
}

TEST_CASE("faults and what comes of them pass as JSON") {
  fault cut{.kind = "cut", .region = "lax", .one_way = "out"};
  fault late{.kind = "delay", .region = "ams", .delay = 70ms};
  fault_result all{.begun = {cut, late},
                   .ended = {late},
                   .switched = timeline_switch{.timeline = 3, .parent = 2, .left_at = "0/30"},
                   .problem = "half of it"};

  auto back = result_from(to_json(all));

  CHECK(back.begun == all.begun);
  CHECK(back.ended == all.ended);
  CHECK(back.switched == all.switched);
  CHECK(back.problem == all.problem);
  CHECK_FALSE(result_from(to_json(fault_result{})).switched);
  CHECK_THROWS_AS(fault_from(nlohmann::json{{"kind", 1}}), nlohmann::json::exception);
}

TEST_CASE("the newest line of a timeline's history tells where it left its parent") {
  CHECK_FALSE(read_switch(2, ""));
  CHECK_FALSE(read_switch(2, "\n# words only\n"));
  CHECK(read_switch(2, "1\t0/3000148\tno recovery target specified\n") ==
        timeline_switch{.timeline = 2, .parent = 1, .left_at = "0/3000148"});
  CHECK(read_switch(3, "1\t0/3000148\tx\n\n2\t1/A0\tx\n") ==
        timeline_switch{.timeline = 3, .parent = 2, .left_at = "1/A0"});
}

TEST_CASE("a region that is cut reaches nobody, and of two delays the longer one counts") {
  constexpr std::size_t syd = 0, lax = 1, ams = 2, outside = 3;
  region_rules rules{3, 5ms};
  line_rules usual{.delay = 5ms};
  CHECK(rules.between(syd, lax) == usual);

  rules.cut(lax, true, true);
  CHECK(rules.between(syd, lax) == line_rules{.delay = 5ms, .cut = {true, true}});
  CHECK(rules.between(lax, syd) == line_rules{.delay = 5ms, .cut = {true, true}});
  CHECK(rules.between(outside, lax).cut == std::array{true, true});
  CHECK(rules.between(syd, ams) == usual);
  CHECK(rules.between(lax, lax) == usual);

  rules.cut(lax, true, false); // nothing comes in
  CHECK(rules.between(syd, lax).cut == std::array{true, false});
  CHECK(rules.between(lax, syd).cut == std::array{false, true});
  rules.cut(lax, false, true); // nothing goes out
  CHECK(rules.between(syd, lax).cut == std::array{false, true});
  rules.cut(lax, false, false);
  CHECK(rules.between(syd, lax) == usual);

  rules.delay(lax, 80ms);
  rules.delay(ams, 2ms);
  CHECK(rules.between(lax, ams).delay == 80ms);
  CHECK(rules.between(syd, ams).delay == 2ms);
  CHECK(rules.between(syd, syd).delay == 5ms);
  rules.delay(lax, std::nullopt);
  CHECK(rules.between(syd, lax) == usual);
}

namespace {

nemesis_options three_regions(std::uint64_t seed, std::vector<std::string> kinds = {}) {
  return {.regions = {"syd", "lax", "ams"},
          .databases = {"syd", "lax", "ams"},
          .primary = "syd",
          .kinds = std::move(kinds),
          .seed = seed};
}

/// All acts of the first `steps` faults, as text.
std::string told(nemesis_plan plan, int steps) {
  std::string result;
  for (int i = 0; i < steps; ++i)
    for (const auto& act : plan.next())
      if (const auto* begun = std::get_if<fault>(&act))
        result += to_json(*begun).dump() + "\n";
      else if (const auto* ended = std::get_if<fault_choice>(&act))
        result += "end " + to_json(*ended).dump() + "\n";
      else
        result += std::to_string(std::get<std::chrono::milliseconds>(act).count()) + " ms\n";
  return result;
}

} // namespace

TEST_CASE("a nemesis does every kind once a round, and the same from the same seed") {
  auto rounds = static_cast<int>(nemesis_kinds().size());
  nemesis_plan plan{three_regions(7)};
  for (int round = 0; round < 3; ++round) {
    std::multiset<std::string> done;
    for (int i = 0; i < rounds; ++i) {
      auto acts = plan.next();
      const auto& first = std::get<fault>(acts.front());
      // A promotion begins with a cut, and is known by what comes then.
      auto promotes = acts.size() > 2 && std::holds_alternative<fault>(acts[2]);
      done.insert(promotes ? std::get<fault>(acts[2]).name() : first.name());
    }
    CHECK(done == std::multiset<std::string>{nemesis_kinds().begin(), nemesis_kinds().end()});
  }

  CHECK(told(nemesis_plan{three_regions(7)}, 30) == told(nemesis_plan{three_regions(7)}, 30));
  CHECK(told(nemesis_plan{three_regions(7)}, 30) != told(nemesis_plan{three_regions(8)}, 30));
}

TEST_CASE("what a nemesis begins and lasts it ends, and a promotion moves the primary each time") {
  nemesis_plan plan{three_regions(1)};
  std::string primary = "syd";
  int promotions = 0;
  for (int i = 0; i < 200; ++i) {
    std::vector<fault> open;
    for (const auto& act : plan.next()) {
      if (const auto* begun = std::get_if<fault>(&act)) {
        if (begun->lasts())
          open.push_back(*begun);
        if (begun->kind != "promote")
          continue;
        ++promotions;
        CHECK(begun->region != primary);
        CHECK(open.front().region == primary); // that one is cut off
        primary = begun->region;
      } else if (const auto* ended = std::get_if<fault_choice>(&act)) {
        std::erase_if(open, [&](const fault& each) { return ended->has(each); });
      }
    }
    CHECK(open.empty());
  }
  CHECK(promotions > 10);
}

TEST_CASE("a nemesis refuses kinds that do not exist or are not possible, and leaves those out") {
  CHECK(three_regions(1, {"cut-one-way", "promote"}).problem().empty());
  CHECK(three_regions(1, {"frob"}).problem().find("'frob' is not one of kill-node") == 0);
  nemesis_options alone{.regions = {"syd"}, .databases = {"syd"}, .primary = "syd"};
  CHECK(alone.problem().empty());
  CHECK(told(nemesis_plan{alone}, 50).find("cut") == std::string::npos);
  CHECK(told(nemesis_plan{alone}, 50).find("promote") == std::string::npos);
  alone.kinds = {"delay"};
  CHECK(alone.problem() == "delay needs two regions");
  alone.kinds = {"promote"};
  CHECK(alone.problem() == "promote needs a replica");
  CHECK(told(nemesis_plan{three_regions(3, {"freeze-dns"})}, 1).find("\"dns\"") !=
        std::string::npos);
}

TEST_CASE("a keeper is asked over a socket in its folder, however long the folder's name is") {
  auto name = (std::filesystem::temp_directory_path() / "fly-control-test-XXXXXX").string();
  REQUIRE(::mkdtemp(name.data()) != nullptr);
  auto folder = std::filesystem::path{name} / std::string(150, 'x');
  std::filesystem::create_directory(folder);
  CHECK_THROWS_WITH(ask_keeper(folder, "hello"), doctest::Contains("cannot be asked"));
  {
    control_door door{folder};
    std::string answer;
    std::string question(control_bytes_max / 2, 'q');
    std::thread asker{[&] { answer = ask_keeper(folder, question); }};
    pollfd wait{door.descriptor(), POLLIN, 0};
    REQUIRE(::poll(&wait, 1, 5000) == 1);
    door.serve([&](const std::string& asked) { return asked == question ? "yes" : "no"; });
    asker.join();
    CHECK(answer == "yes");
    door.serve([](const std::string&) { return std::string{"to nobody"}; }); // returns at once
  }
  CHECK_THROWS(ask_keeper(folder, "hello"));
  std::filesystem::remove_all(name);
}
