// Proves that `flycluster local` runs a program in three regions on this machine, far from one
// another where that is asked for, and that nothing is left of it, however it ends.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <unistd.h>

#include "apps/local/loopback_block.hpp"
#include "apps/local/playground_state.hpp"
#include "apps/local/process.hpp"
#include "tests/apps/shell.hpp"
#include "tests/support/eventually.hpp"

using namespace std::chrono_literals;
using fly::local::is_listened;
using fly::local::is_running;
using fly::local::playground_state;
using fly::local::process;
using fly::test::eventually;
using fly::test::shell;
using fly::test::shell_answer;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

shell_answer local(const std::string& words) {
  return shell(std::string{FLYCLUSTER} + " local " + words);
}

/// A name for a folder that is not there yet, removed at the end should a test leave it.
class new_folder {
public:
  new_folder() {
    auto name = (fs::temp_directory_path() / "fly-local-test-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
    fs::remove(path_);
  }
  ~new_folder() {
    std::error_code ignored;
    if (fs::exists(path_, ignored))
      local("down --dir " + path_.string());
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }
  std::string flag() const { return " --dir " + path_.string() + " "; }

private:
  fs::path path_;
};

const std::string guestbook = std::string{" -- "} + GUESTBOOK + " --http {address}:8080";

std::string host_of(const json& state, const std::string& region) {
  for (const auto& part : state["parts"])
    if (part["what"] == "node" && part["region"] == region) {
      auto address = part["address"].get<std::string>();
      return address.substr(0, address.find(':'));
    }
  return "no node in " + region;
}

/// Writes an entry through the node of a region; returns its answer.
json write_in(const json& state, const std::string& region, const std::string& text) {
  auto answer = shell("curl -s -H 'Content-Type: application/json' -d '" +
                      json{{"author", "test"}, {"text", text}}.dump() + "' http://" +
                      host_of(state, region) + ":8080/entries");
  auto result = json::parse(answer.text, nullptr, false);
  REQUIRE_MESSAGE(result.is_object(), answer.text);
  return result;
}

std::string read_in(const json& state, const std::string& region) {
  return shell("curl -s http://" + host_of(state, region) + ":8080/entries").text;
}

/// Waits until a write in a region is visible there: the nodes have met, the table is there.
bool can_write_in(const json& state, const std::string& region) {
  return eventually([&] { return write_in(state, region, "warm").value("visible", false); }, 20s);
}

/// Checks that no process, port or folder of it is left.
void check_nothing_left(const json& state) {
  for (const auto& part : state["parts"]) {
    CAPTURE(part.dump());
    auto address = part["address"].get<std::string>();
    auto colon = address.find(':');
    auto port = static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1)));
    auto pid = part["pid"].get<pid_t>();
    CHECK_FALSE(is_running({.pid = pid, .started = part["started"].get<std::string>()}));
    CHECK_FALSE(is_listened(address.substr(0, colon), port));
  }
  CHECK_FALSE(is_listened(host_of(state, "lax"), 8080));
  CHECK_FALSE(fs::exists(state["folder"].get<std::string>()));
  for (const auto& it : state["folders"])
    CHECK_FALSE(fs::exists(it.get<std::string>()));
}

json parsed(const shell_answer& from) {
  REQUIRE_MESSAGE(from.code == 0, from.text);
  return json::parse(from.text);
}

} // namespace

TEST_CASE("three regions come up, a write in lax is read in lax, and down leaves nothing") {
  new_folder folder;
  auto state = parsed(local("up --detach --json --name shop" + folder.flag() + guestbook));

  CHECK(state["name"] == "shop");
  CHECK(state["primary"] == "syd");
  CHECK(state["parts"].size() == 7); // a primary, two replicas, DNS, three nodes
  REQUIRE(can_write_in(state, "lax"));
  CHECK(write_in(state, "lax", "hello")["visible"] == true);
  CHECK(read_in(state, "lax").find("\"hello\"") != std::string::npos);
  CHECK(local("status" + folder.flag()).code == 0);

  auto environment = ". " + (folder.path() / "lax.env").string();
  auto members = shell(environment + " && " + FLYCLUSTER + " --json status");
  CHECK(json::parse(members.text)["members"].size() == 3); // the visitor did not pass for lax
  CHECK(shell(environment + " && psql -X -A -t \"$DATABASE_URL\" -c 'SELECT pg_is_in_recovery()'")
            .text == "t\n");

  auto again = local("up" + folder.flag() + guestbook);
  CHECK(again.code == 1);
  CHECK(again.text.find("up already") != std::string::npos);

  auto down = local("down" + folder.flag());
  CHECK_MESSAGE(down.code == 0, down.text);
  check_nothing_left(state);
  CHECK(local("down" + folder.flag()).code == 1);
}

TEST_CASE("with a delay each far write takes a round trip") {
  new_folder folder;
  auto state = parsed(local("up --detach --json --delay 60" + folder.flag() + guestbook));
  for (const auto* region : {"lax", "ams"}) {
    CAPTURE(region);
    REQUIRE(can_write_in(state, region));
    for (int i = 0; i < 3; ++i) {
      auto written = write_in(state, region, "far");
      CHECK(written["visible"] == true);
      CHECK(written["timing"]["to_primary_us"].get<int>() >= 120'000);
    }
  }
  CHECK(write_in(state, "syd", "near")["timing"]["to_primary_us"].get<int>() < 60'000);

  CHECK(local("down" + folder.flag()).code == 0);
  check_nothing_left(state);
}

TEST_CASE("replication from the primary is as late as the regions are far") {
  new_folder folder;
  auto state = parsed(local("up --detach --json --delay 100" + folder.flag() + guestbook));
  REQUIRE(can_write_in(state, "lax"));

  auto began = std::chrono::steady_clock::now();
  write_in(state, "syd", "from home");
  auto arrived =
      eventually([&] { return read_in(state, "ams").find("from home") != std::string::npos; }, 10s);

  CHECK(arrived);
  CHECK(std::chrono::steady_clock::now() - began >= 100ms);
}

TEST_CASE("in the foreground a signal ends all of it, with exit code 0") {
  new_folder folder;
  auto log = folder.path().string() + ".out";
  process up{{.arguments = {FLYCLUSTER, "local", "up", "--json", "--dir", folder.path().string(),
                            "--", GUESTBOOK, "--http", "{address}:8080"},
              .environment = {"PATH=/usr/bin:/bin"},
              .log = log}};
  REQUIRE(eventually([&] { return local("status" + folder.flag()).code == 0; }, 60s));
  auto state = parsed(local("status --json" + folder.flag()));

  ::kill(up.mark().pid, SIGINT);

  CHECK(eventually([&] { return up.ended().has_value(); }, 30s));
  CHECK(up.ended() == "exit code 0");
  check_nothing_left(state);
  fs::remove(log);
}

TEST_CASE("a keeper that is killed takes all with it, and down clears what is left") {
  new_folder folder;
  auto state = parsed(local("up --detach --json" + folder.flag() + guestbook));

  ::kill(state["keeper"]["pid"].get<pid_t>(), SIGKILL);

  CHECK(eventually([&] { return local("status" + folder.flag()).code == 1; }));
  auto down = local("down" + folder.flag());
  CHECK_MESSAGE(down.code == 0, down.text);
  check_nothing_left(state);
}

TEST_CASE("two playgrounds run side by side, each on addresses of its own") {
  new_folder one;
  new_folder two;
  auto first = parsed(local("up --detach --json --regions syd" + one.flag() + guestbook));
  auto second = parsed(local("up --detach --json --regions syd" + two.flag() + guestbook));

  std::set<std::string> addresses;
  for (const auto* state : {&first, &second})
    for (const auto& part : (*state)["parts"])
      addresses.insert(part["address"].get<std::string>());
  CHECK(addresses.size() == 6);
  CHECK(can_write_in(first, "syd"));
  CHECK(can_write_in(second, "syd"));

  CHECK(local("down" + one.flag()).code == 0);
  CHECK(local("status" + two.flag()).code == 0);
}

TEST_CASE("a program that ends at once is told with its last words, and nothing is left") {
  new_folder folder;

  auto failed = local("up" + folder.flag() + "-- sh -c 'echo out of luck; exit 3'");

  CHECK(failed.code == 1);
  CHECK(failed.text.find("exit code 3") != std::string::npos);
  CHECK(failed.text.find("out of luck") != std::string::npos);
  CHECK_FALSE(fs::exists(folder.path()));
  auto missing = local("up --detach" + folder.flag() + "-- /no/such/program");
  CHECK(missing.code == 1);
  CHECK(missing.text.find("cannot run /no/such/program") != std::string::npos);
  CHECK_FALSE(fs::exists(folder.path()));
}

TEST_CASE("a folder of somebody else's things is left alone") {
  new_folder folder;
  fs::create_directory(folder.path());
  std::ofstream{folder.path() / "letter.txt"} << "dear";

  auto failed = local("up" + folder.flag() + guestbook);

  CHECK(failed.code == 1);
  CHECK(failed.text.find("not an empty folder") != std::string::npos);
  CHECK(fs::exists(folder.path() / "letter.txt"));
}

TEST_CASE("a pid that was given to another process is left alone") {
  process bystander{{.arguments = {"/bin/sleep", "60"}, .environment = {}, .log = "/dev/null"}};
  new_folder folder;
  fs::create_directory(folder.path());
  fs::permissions(folder.path(), fs::perms::owner_all);
  playground_state state;
  state.name = "old";
  state.owns_folder = true;
  state.keeper = {.pid = bystander.mark().pid, .started = "another boot/1"};
  state.parts.push_back({.what = "node", .region = "syd", .mark = state.keeper, .address = "x"});
  fly::local::save(state, folder.path());

  CHECK(local("down" + folder.flag()).code == 0);

  CHECK_FALSE(bystander.ended());
  CHECK_FALSE(fs::exists(folder.path()));
}

TEST_CASE("a mistake in the command is named and ends with exit code 2") {
  auto names = [](const std::string& part, const std::string& words) {
    CAPTURE(words);
    auto failed = local(words);
    CHECK(failed.code == 2);
    CHECK_MESSAGE(failed.text.find(part) != std::string::npos, failed.text);
  };
  names("up, down, status", "");
  names("'sideways'", "sideways");
  names("no command", "up");
  names("behind --", "up ./shop");
  names("--name", "up --name 'My Shop' -- x");
  names("--regions", "up --regions syd,,lax -- x");
  names("--regions", "up --regions syd,syd -- x");
  names("--regions", "up --regions a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q -- x");
  names("--primary", "up --primary hkg -- x");
  names("--replicas", "up --replicas hkg -- x");
  names("--replicas", "up --replicas syd -- x");
  names("--delay", "up --delay -1 -- x");
  names("--delay", "up --delay 5001 -- x");
  names("--delay", "up --delay soon -- x");
  names("--port", "up --port 65536 -- x");
  names("--port", "up --port 0 -- x");
  names("--what", "status --what");
  auto help = local("--help");
  CHECK(help.code == 0);
  CHECK(help.text.find("Try it with the guestbook") != std::string::npos);
}
