// write_bench: what a write from a far node costs, until it is committed and until it can be read
// at the far node's replica, beside plain libpqxx, beside the earliest that the servers allow, and
// beside the way of fly_postgres. All systems take turns in each round of one run; what counts is
// the ratio within a round. See docs/performance.md.
#include <algorithm>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <string>

#include <boost/program_options.hpp>

#include <nlohmann/json.hpp>

#include "tests/bench/write_lab.hpp"

namespace po = boost::program_options;

namespace {

using namespace fly::bench;
using nlohmann::json;

struct target {
  std::string what;
  double bound;
  std::optional<double> measured; // none where its case was not run
};

std::vector<target> targets(const table& all, const std::optional<idle_figures>& idle) {
  std::vector<target> result;
  auto p99 = &sample::p99_us;
  for (const std::string system : {"fly", "fly+function"}) {
    for (const std::string name : {"visible/1", "visible/16", "visible/64"}) {
      auto what = name + " " + system;
      result.push_back({what + " p50 to limit", 1.15, all.ratio(name, system, "limit")});
      result.push_back({what + " p99 to limit", 1.5, all.ratio(name, system, "limit", p99)});
    }
    result.push_back({"visible/1 " + system + " p50 to poll50", 1 / 25.0,
                      all.ratio("visible/1", system, "poll50")});
    result.push_back(
        {"write/16 " + system + " p50 to libpqxx", 1.25, all.ratio("write/16", system, "libpqxx")});
  }
  for (const std::string system : {"fly", "fly+function"})
    for (const std::string name : {"write/1", "write/16", "write/64"}) {
      auto what = name + " " + system + "+key p50 to " + system;
      result.push_back({what, 1.25, all.ratio(name, system + "+key", system)});
    }
  for (const auto& it : all.rows())
    if (it.name == "waiters/10000" && it.system != "limit")
      result.push_back({it.name + " " + it.system + " awake, us", 10'000, it.median.p50_us});
  if (idle) {
    // The count of a server's statistics is one off at either end.
    result.push_back({"idle queries a second", 1.1, idle->queries_per_s});
    result.push_back({"idle percent of a core", 0.3, idle->cpu_percent});
    result.push_back({"idle resident MiB", 25, idle->rss_mib});
  }
  return result;
}

json report(const table& all, const std::optional<idle_figures>& idle) {
  auto rows = json::array();
  for (const auto& it : all.rows())
    rows.push_back({{"case", it.name},
                    {"system", it.system},
                    {"p50_us", it.median.p50_us},
                    {"p99_us", it.median.p99_us},
                    {"calls_per_s", it.median.per_s},
                    {"ratio", it.ratio},
                    {"p99_ratio", it.p99_ratio},
                    {"rounds", it.rounds}});
  auto reached = json::array();
  for (const auto& it : targets(all, idle))
    if (it.measured)
      reached.push_back({{"what", it.what},
                         {"at_most", it.bound},
                         {"measured", *it.measured},
                         {"reached", *it.measured <= it.bound}});
  json result{{"rows", rows},
              {"targets", reached},
              {"parts", all.parts()},
              {"failures", failures().load()}};
  if (idle)
    result["idle"] = {{"queries_per_s", idle->queries_per_s},
                      {"cpu_percent", idle->cpu_percent},
                      {"rss_mib", idle->rss_mib}};
  return result;
}

void print(const json& report) {
  std::cout << std::fixed << std::left << std::setw(15) << "case" << std::setw(18) << "system"
            << std::right << std::setw(10) << "p50_us" << std::setw(10) << "p99_us" << std::setw(13)
            << "calls_per_s" << std::setw(8) << "ratio" << std::setw(13) << "p99_ratio" << '\n';
  for (const auto& it : report["rows"])
    std::cout << std::left << std::setw(15) << it["case"].get<std::string>() << std::setw(18)
              << it["system"].get<std::string>() << std::right << std::setprecision(0)
              << std::setw(10) << it["p50_us"].get<double>() << std::setw(10)
              << it["p99_us"].get<double>() << std::setw(13) << it["calls_per_s"].get<double>()
              << std::setprecision(2) << std::setw(8) << it["ratio"].get<double>() << std::setw(13)
              << it["p99_ratio"].get<double>() << '\n';
  for (const auto& it : report["targets"])
    std::cout << (it["reached"].get<bool>() ? "reached  " : "MISSED   ") << std::left
              << std::setw(46) << it["what"].get<std::string>() << std::right
              << std::setprecision(3) << it["measured"].get<double>() << " (at most "
              << it["at_most"].get<double>() << ")\n";
  for (const auto& [name, parts] : report["parts"].items())
    std::cout << name << " by fly, medians in us: " << parts.dump() << '\n';
  std::cout << "failures: " << report["failures"] << '\n';
}

/// Runs the cases whose name begins with `only`; interleaved, round by round.
int run(const amount& how, const std::string& only, const std::string& file) {
  auto wanted = [&](const std::string& name) { return name.starts_with(only); };
  lab on;
  table all;
  std::optional<idle_figures> idle;
  if (wanted("idle"))
    idle = measure_idle(on, how.idle);
  for (int round = 0; round < how.rounds; ++round) {
    for (int callers : {1, 16, 64}) {
      if (wanted("write/" + std::to_string(callers)))
        write_round(on, callers, how, all);
      if (wanted("read/" + std::to_string(callers)))
        read_round(on, callers, how, all);
      if (wanted("visible/" + std::to_string(callers)))
        visible_round(on, callers, how, all);
    }
    for (int waiters : {1000, 10'000})
      if (wanted("waiters/" + std::to_string(waiters)))
        waiters_round(on, waiters, how, all);
  }
  auto result = report(all, idle);
  print(result);
  if (!file.empty())
    std::ofstream{file} << result.dump(2) << '\n';
  return failures() == 0 ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
  if (argc > 2 && std::string{argv[1]} == "--node")
    return run_node({argv + 2, argv + argc});
  amount how;
  std::string file;
  std::string only;
  po::options_description flags{"write_bench: a write from a far node, until it is committed and "
                                "until it can be read there"};
  flags.add_options()("help,h", "this text")("quick", "fewer calls; under a minute")(
      "smoke", "one round of hardly any calls, for a test")("rounds", po::value(&how.rounds),
                                                            "rounds, interleaved")(
      "calls", po::value(&how.calls), "calls of a system in a round, of all callers together")(
      "only", po::value(&only),
      "cases whose name begins so: write/, read/, visible/16, waiters/, idle")(
      "json", po::value(&file), "also to FILE");
  try {
    po::variables_map given;
    po::store(po::parse_command_line(argc, argv, flags), given);
    if (given.count("help") != 0) {
      std::cout << flags;
      return 0;
    }
    if (given.count("quick") != 0)
      how = {
          .rounds = 5, .calls = 160, .slow_calls = 16, .waits = 2, .idle = std::chrono::seconds{5}};
    if (given.count("smoke") != 0)
      how = {
          .rounds = 1, .calls = 16, .slow_calls = 4, .waits = 1, .idle = std::chrono::seconds{1}};
    po::notify(given);
    how.rounds = std::max(how.rounds, 1);
    how.calls = std::max(how.calls, 2);
    return run(how, only, file);
  } catch (const std::exception& reason) {
    std::cerr << "write_bench: " << reason.what() << '\n';
    return 2;
  }
}
