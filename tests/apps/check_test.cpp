// Proves what `flycluster check` says of files, and with which exit code.
#include <filesystem>
#include <fstream>
#include <string>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <stdlib.h> // mkdtemp

#include "fly/testing/recorder.hpp"
#include "tests/apps/shell.hpp"

using namespace std::chrono_literals;
using namespace fly::test;
using fly::testing::action;
using fly::testing::event;
using fly::testing::phase;

namespace {

/// A folder with histories, removed at the end.
class histories {
public:
  histories() {
    auto name = (std::filesystem::temp_directory_path() / "fly-check-test-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    folder_ = name;
  }
  ~histories() { std::filesystem::remove_all(folder_); }

  std::string file(const std::string& name) const { return (folder_ / name).string(); }

  void add(const std::string& name, const event& what) const {
    std::ofstream{file(name), std::ios::app} << to_line(what) << '\n';
  }

  /// A write of `value` that was acknowledged.
  void write(const std::string& value, std::chrono::milliseconds at,
             std::chrono::milliseconds took = 5ms) {
    event told{.action = action::write,
               .process = "lax",
               .call = ++calls_,
               .time = at,
               .deadline = 1s,
               .key = "cart",
               .value = value};
    add("lax.jsonl", told);
    told.phase = phase::ok;
    told.time = at + took;
    add("lax.jsonl", told);
  }

  void last(std::vector<std::string> values) const {
    add("lax.jsonl", {.phase = phase::ok,
                      .action = action::last,
                      .process = "lax",
                      .time = 60s,
                      .key = "cart",
                      .values = std::move(values)});
  }

  shell_answer check(const std::string& words) const {
    return shell("cd " + folder_.string() + " && " + FLYCLUSTER + " check " + words);
  }

private:
  std::filesystem::path folder_;
  std::uint64_t calls_ = 0;
};

} // namespace

TEST_CASE("a history without a flaw is clean, with exit code 0") {
  histories of;
  of.write("pen", 1s);
  of.write("ink", 2s);
  of.last({"pen", "ink"});
  of.add("faults.jsonl", {.action = action::fault, .process = "lax", .time = 1s, .key = "delay"});
  of.add(
      "faults.jsonl",
      {.phase = phase::ok, .action = action::fault, .process = "lax", .time = 2s, .key = "delay"});

  auto told = of.check("*.jsonl");

  CHECK(told.code == 0);
  CHECK(has(told.text, "operations 2: write ok 2\n"));
  CHECK(has(told.text, "faults 1: delay 1\n"));
  CHECK(has(told.text, "\nclean\n"));
}

TEST_CASE("a flaw is printed with its events, and the exit code is 1") {
  histories of;
  of.write("pen", 1s);
  of.write("ink", 2s);
  of.last({"pen"});

  auto told = of.check("lax.jsonl");

  CHECK(told.code == 1);
  CHECK(has(told.text, "lost_write: acknowledged and lost: 'ink' in cart\n"));
  CHECK(has(told.text, "    {\"at\":2000000,"));
  CHECK(has(told.text, "flaws 1: lost_write 1\n"));
  CHECK(has(told.text, "\nNOT CLEAN\n"));
}

TEST_CASE("--json says the same to a program") {
  histories of;
  of.write("pen", 1s);
  of.last({"pen", "pen"});

  auto told = of.check("--json lax.jsonl");
  auto report = nlohmann::json::parse(told.text, nullptr, false);

  CHECK(told.code == 1);
  REQUIRE_MESSAGE(report.is_object(), told.text);
  CHECK(report["clean"] == false);
  CHECK(report["operations"] == nlohmann::json{{"write ok", 1}});
  CHECK(report["flaws"] == nlohmann::json{{"doubled", 1}});
  CHECK(report["findings"][0]["flaw"] == "doubled");
  CHECK(report["findings"][0]["evidence"].size() == 3);
}

TEST_CASE("--slack allows a slow machine more time") {
  histories of;
  of.write("pen", 1s, 1600ms); // its deadline is 1 s
  of.last({"pen"});

  CHECK(has(of.check("lax.jsonl").text, "past_deadline"));
  CHECK(of.check("--slack 700 lax.jsonl").code == 0);
}

TEST_CASE("a mistake is named, with exit code 2") {
  histories of;
  std::ofstream{of.file("letter.txt")} << "dear\n";
  auto names = [&](const std::string& part, const std::string& words) {
    CAPTURE(words);
    auto failed = of.check(words);
    CHECK(failed.code == 2);
    CHECK_MESSAGE(has(failed.text, part), failed.text);
  };

  names("the files of a history are needed", "");
  names("missing.jsonl: it cannot be read", "missing.jsonl");
  names("letter.txt: line 1", "letter.txt");
  names("--slack: -1 is not between 0 and 600000", "--slack=-1 letter.txt");
  names("--frob", "--frob letter.txt");
  auto help = of.check("--help");
  CHECK(help.code == 0);
  CHECK(has(help.text, "Exit codes"));
}
