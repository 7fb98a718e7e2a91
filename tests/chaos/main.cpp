// fly_chaos: three regions with real processes and databases, hurt from a seed while users write
// and read; then a checker judges what was seen. Exit status 1 where it finds anything.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <random>

#include <boost/program_options.hpp>

#include "fly/testing/print.hpp"
#include "tests/chaos/nemesis.hpp"
#include "tests/support/program.hpp"

namespace po = boost::program_options;

namespace {

using namespace fly::chaos;

struct chosen {
  unsigned seconds = 35;
  std::uint64_t seed = 0;
  std::string only;
  std::string history;
};

/// A folder for the time of the run.
struct temporary_folder {
  temporary_folder() {
    auto name = (std::filesystem::temp_directory_path() / "fly-chaos-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
      throw std::runtime_error{"no temporary folder"};
    path = name;
  }
  ~temporary_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::filesystem::path path;
};

void write_history(const fly::testing::history& what, const std::string& file) {
  std::ofstream out{file};
  for (const auto& each : what)
    out << to_line(each) << '\n';
  if (!out.flush())
    throw std::runtime_error{"cannot write " + file};
  std::cout << "history in " << file << '\n';
}

int run(const chosen& given) {
  temporary_folder folder;
  world it{folder.path, given.seed};
  if (const auto& why = it.net.without_namespaces(); !why.empty())
    std::cout << why << ": regions are cut by proxies alone\n";
  auto begin = std::chrono::steady_clock::now();
  run_nemesis(it, given.seed, std::chrono::seconds{given.seconds}, given.only,
              [&](const std::string& kind) {
                std::chrono::duration<double> at = std::chrono::steady_clock::now() - begin;
                std::cerr << at.count() << " s: " << kind << std::endl;
              });
  nap(1500ms);
  auto history = it.finish();
  // Two nodes on two cores are often late by what others do; an old primary hears by a heartbeat.
  auto report = check(history, {.deadline_slack = 500ms, .hearing_max = 1500ms});
  bool clean = report.is_clean();
  auto file = given.history;
  if (file.empty() && !clean)
    file = (std::filesystem::temp_directory_path() /
            ("fly-chaos-" + std::to_string(given.seed) + ".jsonl"))
               .string();
  if (!file.empty())
    write_history(history, file);
  print(std::cout, history, report);
  std::cout << "seed " << given.seed << ", " << given.seconds
            << " s: " << (clean ? "clean" : "NOT CLEAN") << std::endl;
  return clean ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
  fly::test::end_signals ends; // `nap` looks for them
  chosen given;
  given.seed = std::random_device{}() % 1'000'000;
  po::options_description flags{"fly_chaos: hurts three regions, and judges what users saw"};
  flags.add_options()("seconds", po::value(&given.seconds), "how long (35: every fault once)")(
      "seed", po::value(&given.seed), "for the faults and what users do; printed")(
      "only", po::value(&given.only), "one kind of fault, again and again")(
      "history", po::value(&given.history), "keeps the history in this file");
  return fly::test::run_program("fly_chaos", argc, argv, flags, [&](const auto&) {
    std::cerr << "seed " << given.seed << std::endl;
    return run(given);
  });
}
