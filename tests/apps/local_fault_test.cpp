// Proves that `flycluster local fault` hurts what it names, and nothing else, until it is ended,
// and that a nemesis leaves the cluster whole and a history that the checker takes.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

#include <doctest/doctest.h>

#include "apps/local/process.hpp"
#include "fly/testing/checker.hpp"
#include "tests/apps/local_cluster.hpp"

using namespace std::chrono_literals;
using namespace fly::test;
using fly::testing::action;
using fly::testing::phase;

namespace {

/// Three regions, and commands that hurt them.
class hurt_cluster : public local_cluster {
public:
  shell_answer local(const std::string& words) const {
    return shell(std::string{FLYCLUSTER} + " local " + words + " --dir " + folder().string());
  }
  shell_answer fault(const std::string& words) const { return local("fault " + words); }

  /// Does it, and checks that it was done and told.
  void done(const std::string& words, const std::string& text) const {
    CAPTURE(words);
    auto told = fault(words);
    CHECK_MESSAGE(told.code == 0, told.text);
    CHECK_MESSAGE(has(told.text, text), told.text);
  }

  void refused(const std::string& words, const std::string& text) const {
    CAPTURE(words);
    auto told = fault(words);
    CHECK(told.code == 1);
    CHECK_MESSAGE(has(told.text, text), told.text);
  }

  nlohmann::json state() const { return nlohmann::json::parse(local("status --json").text); }

  /// Returns what runs of a region, as it is now: "node", "primary", "replica", "old primary".
  nlohmann::json now(const std::string& region, const std::string& what) const {
    auto all = state();
    for (const auto& each : all["parts"])
      if (each["region"] == region && each["what"] == what)
        return each;
    return {};
  }

  std::string sql(const std::string& region, const std::string& text) const {
    return shell(". " + (folder() / (region + ".env")).string() +
                 " && psql -X -A -t \"$DATABASE_URL\" -c \"" + text + "\"")
        .text;
  }

  bool meets(const std::string& region, int members) const {
    return has(curl(region, "8080/readyz").text, "\"members\":" + std::to_string(members));
  }

  bool writes(const std::string& region) const {
    return has(write(region, "still there").text, "\"visible\":true");
  }

  fly::testing::history history(const std::string& file) const {
    fly::testing::history result;
    std::ifstream from{file};
    CHECK_FALSE(fly::testing::read_history(from, result));
    return result;
  }
};

/// The state of a process, "T" where it is stopped.
std::string process_state(const nlohmann::json& part) {
  return shell("ps -o state= -p " + std::to_string(part["pid"].get<int>())).text.substr(0, 1);
}

} // namespace

TEST_CASE("a second writable server of the same timeline is told as a conflict, and left out") {
  hurt_cluster it;
  auto pid = std::to_string(it.now("ams", "replica")["pid"].get<int>());
  auto data = shell("tr '\\0' '\\n' </proc/" + pid + "/cmdline | grep -A1 -x -e -D | tail -1").text;
  while (data.ends_with('\n'))
    data.pop_back();
  it.done("kill database ams", "is killed");
  REQUIRE(std::filesystem::remove(data + "/standby.signal")); // it recovers, and is a primary, too
  it.done("start database ams", "runs again");

  auto conflict = [&] {
    auto told = it.flycluster("lax", "--json primary");
    return told.code == 0 ? nlohmann::json::parse(told.text)["conflict"] : nlohmann::json{};
  };
  CHECK(eventually([&] { return conflict() == nlohmann::json{"machine-ams"}; }, 20s));
  auto text = it.flycluster("lax", "primary").text;
  CHECK_MESSAGE(has(text, "CONFLICT, writable beside the primary on its timeline: machine-ams\n"),
                text);
  CHECK(has(text, "primary: syd, timeline 1"));
  CHECK(it.flycluster("lax", "primary move ams").code == 1);
  CHECK(has(it.write("ams", "to syd, all the same").text, "\"id\":"));
  CHECK(it.sql("syd", "SELECT count(*) FROM entries WHERE text LIKE 'to syd%'") == "1\n");
}

TEST_CASE("parts are frozen, killed and restarted, and made whole again") {
  hurt_cluster it;
  auto node = it.now("lax", "node");

  it.done("freeze node lax", "the node of lax is frozen");
  CHECK(process_state(node) == "T");
  CHECK(it.state()["faults"] == nlohmann::json{"freeze-node lax"});
  CHECK(has(it.local("status").text, "fault: freeze-node lax\n"));
  it.refused("freeze node lax", "the node of lax is frozen already");
  it.refused("restart node lax", "frozen: thaw it");
  it.done("thaw node lax", "the node of lax goes on");
  CHECK(process_state(node) != "T");
  it.refused("thaw node lax", "the node of lax is not frozen");

  it.done("restart node lax", "the node of lax was restarted");
  CHECK(it.now("lax", "node")["pid"] != node["pid"]);
  it.done("kill node lax", "the node of lax is killed");
  CHECK(it.local("status").code == 1);
  it.refused("freeze node lax", "the node of lax does not run");
  it.done("start node lax", "the node of lax runs again");

  auto database = it.now("ams", "replica");
  it.done("freeze database ams --for 300", "the database of ams goes on");
  it.done("freeze database ams", "is frozen");
  CHECK(process_state(database) == "T");
  it.done("kill database ams", "the database of ams is killed"); // a frozen one, too
  it.done("restart database lax", "was restarted");
  it.done("kill dns", "dns is killed");
  it.done("heal", "dns runs again");
  it.done("heal", "nothing was hurt");

  CHECK(it.local("status").code == 0);
  CHECK(it.now("ams", "replica")["address"] == database["address"]);
  for (const char* region : {"syd", "lax", "ams"})
    CHECK(eventually([&] { return it.meets(region, 3) && it.writes(region); }, 20s));
  it.refused("freeze node hkg", "there is no region hkg");
  it.refused("heal hkg", "there is no region hkg");
}

TEST_CASE("a region that is cut off sees nobody, its replica stands, and all of it heals") {
  hurt_cluster it;

  it.done("cut lax", "lax is cut off");
  it.refused("cut lax --one-way in", "lax is cut off already");
  CHECK(eventually([&] { return it.meets("lax", 1) && it.meets("syd", 2); }, 20s));
  CHECK(it.writes("ams"));
  auto rows = it.sql("lax", "SELECT count(*) FROM entries");
  CHECK(it.sql("ams", "SELECT count(*) FROM entries") != rows); // replication is cut, too
  it.refused("rebuild lax", "nothing passes between lax and syd");
  it.done("heal lax", "lax is reached again");
  CHECK(eventually([&] { return it.meets("lax", 3) && it.meets("syd", 3); }, 20s));
  CHECK(eventually([&] { return it.writes("lax"); }, 10s));

  it.done("delay lax 150", "lax is 150 ms away, each way");
  auto late = nlohmann::json::parse(it.write("lax", "late").text);
  CHECK(late["timing"]["to_primary_us"].get<int>() >= 300'000);
  auto near = nlohmann::json::parse(it.write("ams", "near").text);
  CHECK(near["timing"]["to_primary_us"].get<int>() < 150'000);
  it.done("heal lax", "lax is as far away as before");
  auto again = nlohmann::json::parse(it.write("lax", "again").text);
  CHECK(again["timing"]["to_primary_us"].get<int>() < 150'000);

  // Nothing comes into ams: it sees nobody, though the others hear it. Its replica hears nothing.
  it.done("cut ams --one-way in", "nothing comes into ams");
  CHECK(eventually([&] { return it.meets("ams", 1); }, 20s));
  auto before = it.sql("ams", "SELECT count(*) FROM entries");
  CHECK(it.writes("lax"));
  CHECK(it.sql("ams", "SELECT count(*) FROM entries") == before);
  it.done("heal", "ams is reached again");
  CHECK(eventually([&] { return it.meets("ams", 3); }, 20s));
}

TEST_CASE("a replica becomes the primary, and the old one is rebuilt") {
  hurt_cluster it;
  auto history = (it.folder() / "faults.jsonl.log").string(); // removed with the cluster

  it.refused("promote syd", "the database of syd is the primary already");
  it.done("promote lax --record " + history, "the database of lax is the primary");
  CHECK(it.state()["primary"] == "lax");
  CHECK(it.now("syd", "old primary")["runs"] == true);
  CHECK(has(it.sql("syd", "SELECT pg_is_in_recovery()"), "f"));
  CHECK(eventually([&] { return it.writes("syd") || it.writes("ams"); }, 20s));
  it.refused("promote syd", "is an old primary: rebuild it first");
  it.refused("rebuild lax", "the database of lax is the primary");
  it.done("rebuild --record " + history, "the database of syd follows the primary");
  it.done("rebuild", "all databases follow the primary");
  CHECK(it.now("syd", "replica")["runs"] == true);
  for (const char* region : {"syd", "lax", "ams"})
    CHECK(eventually([&] { return it.writes(region); }, 20s));

  auto told = it.history(history);
  REQUIRE(told.size() == 5);
  CHECK(told[0].action == action::fault);
  CHECK(told[0].key == "promote");
  CHECK(told[2].action == action::cut);
  CHECK(told[2].number == 2);
  CHECK(told[2].bound == 1);
  CHECK(told[2].value.substr(0, 2) == "0/");
  CHECK(told[4].phase == phase::ok);
  CHECK(told[4].process == "database-syd");
}

TEST_CASE("a nemesis hurts what it may, and leaves all of it whole") {
  hurt_cluster it;
  auto history = (it.folder() / "faults.jsonl.log").string();

  auto told =
      it.local("nemesis --seconds 4 --seed 5 --only freeze-node,cut-one-way --record " + history);
  CHECK_MESSAGE(told.code == 0, told.text);
  CHECK(has(told.text, "seed 5\n"));
  CHECK(it.state()["faults"].empty());
  auto report = fly::testing::check(it.history(history));
  CHECK(report.is_clean());
  CHECK(report.faults.size() == 2);

  // Ended by a signal, it makes everything whole.
  fly::local::process long_one{
      {.arguments = {FLYCLUSTER, "local", "nemesis", "--seconds", "600", "--only", "kill-node",
                     "--json", "--dir", it.folder().string()},
       .environment = {"PATH=/usr/bin:/bin"},
       .log = it.folder() / "nemesis.log"}};
  CHECK(eventually([&] { return !it.state()["faults"].empty(); }, 10s));
  ::kill(long_one.mark().pid, SIGTERM);
  CHECK(eventually([&] { return long_one.ended().has_value(); }, 20s));
  CHECK(long_one.ended() == "exit code 0");
  CHECK(it.local("status").code == 0);
  CHECK(has(long_one.log_tail(100), "\"key\":\"kill-node\""));

  // A node that has ended by itself is told.
  ::kill(it.now("lax", "node")["pid"].get<pid_t>(), SIGKILL);
  auto found = it.local("nemesis --seconds 60 --only delay");
  CHECK(found.code == 1);
  CHECK_MESSAGE(has(found.text, "the node of lax has ended by itself"), found.text);
}

TEST_CASE("a mistake in the words of a fault is named, with exit code 2") {
  auto names = [](const std::string& part, const std::string& words) {
    CAPTURE(words);
    auto failed = shell(std::string{FLYCLUSTER} + " local " + words);
    CHECK(failed.code == 2);
    CHECK_MESSAGE(has(failed.text, part), failed.text);
  };
  names("fault needs one of kill, start", "fault");
  names("'frob' is no fault", "fault frob");
  names("kill what? One of: kill node REGION", "fault kill");
  names("freeze what?", "fault freeze lax");
  names("freeze node needs a region", "fault freeze node");
  names("dns is one for all", "fault freeze dns lax");
  names("'ams' was not expected", "fault kill node lax ams");
  names("cut needs a region", "fault cut");
  names("'sideways' is neither 'in' nor 'out'", "fault cut lax --one-way sideways");
  names("--one-way is for cut", "fault kill dns --one-way in");
  names("delay needs a region and milliseconds", "fault delay lax");
  names("'soon' is not a number of milliseconds between 0 and 5000", "fault delay lax soon");
  names("'5001' is not a number", "fault delay lax 5001");
  names("promote is over when it is done", "fault promote lax --for 100");
  names("thaw is over when it is done", "fault thaw dns --for 100");
  names("--for: 0 is not between 1 and 600000", "fault kill dns --for 0");
  names("--for is for fault", "status --for 100");
  names("--record is for fault and nemesis", "down --record x");
  names("--seconds: 0", "nemesis --seconds 0");
  names("--seed: -1", "nemesis --seed=-1");
  names("--seed is for nemesis", "fault kill dns --seed 1");
  auto nothing = shell(std::string{FLYCLUSTER} + " local fault kill dns --dir /nowhere");
  CHECK(nothing.code == 1);
  CHECK(has(nothing.text, "nothing is up in /nowhere"));
  for (const auto& [action, part] : {std::pair{"fault", "lets nothing pass"},
                                     {"nemesis", "about 35 s"},
                                     {"", "in many regions"}})
    CHECK(has(shell(std::string{FLYCLUSTER} + " local " + action + " --help").text, part));
}
