// The recorder's file: what several threads did, with their ends, in the order of time.
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include <unistd.h>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/testing/checker.hpp"
#include "fly/testing/recorder.hpp"

using namespace fly::testing;

namespace {

struct temporary_file {
  std::string name =
      (std::filesystem::temp_directory_path() / ("fly_recorder." + std::to_string(::getpid())))
          .string();
  ~temporary_file() { std::filesystem::remove(name); }

  history read() const {
    std::ifstream from{name};
    history result;
    CHECK(!read_history(from, result));
    return result;
  }
};

} // namespace

TEST_CASE("what threads record is read again, with the process and its life") {
  temporary_file file;
  {
    recorder all{file.name, "lax-1/1"};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
      threads.emplace_back([&all, i] {
        for (int n = 0; n < 100; ++n)
          all.end(all.begin(
                      {.action = action::write, .key = "a", .value = std::to_string(i * 100 + n)}),
                  phase::ok);
      });
    for (auto& each : threads)
      each.join();
    CHECK(all.dropped() == 0);
  }

  auto read = file.read();
  auto report = check(read);

  CHECK(read.size() == 802);
  CHECK(read.front().action == action::life);
  CHECK(read.back().phase == phase::ok);
  CHECK(std::is_sorted(read.begin(), read.end(),
                       [](const auto& a, const auto& b) { return a.time < b.time; }));
  CHECK(report.operations["write ok"] == 400);
  CHECK(report.is_clean());
}

TEST_CASE("an error ends an action by what it says of the effect") {
  temporary_file file;
  {
    recorder all{file.name, "lax-1/1"};
    for (auto reason :
         {caf::error{}, fly::make_error(fly::errc::no_primary),
          fly::make_error(fly::errc::sql_failed), fly::make_error(fly::errc::member_lost)})
      all.end(all.begin({.action = action::write, .key = "a", .value = "1"}), reason);
  }

  auto report = check(file.read());

  CHECK(report.operations["write ok"] == 1);
  CHECK(report.operations["write fail"] == 2);
  CHECK(report.operations["write unknown"] == 1);
}

TEST_CASE("a file that cannot be written is said so at once") {
  CHECK_THROWS_AS((recorder{"/nowhere/at/all", "x"}), std::runtime_error);
}
