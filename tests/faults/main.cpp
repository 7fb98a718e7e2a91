// fly_faults: hurts a real cluster in every way that the docs speak of, and prints how long it took
// to notice and to heal. Exit status 1 where an expectation does not hold.
#include <algorithm>
#include <iostream>
#include <random>

#include <boost/program_options.hpp>

#include "tests/faults/faults.hpp"

namespace po = boost::program_options;

namespace {

using namespace fly::faults;

struct chosen {
  std::string mode;
  std::string only;
  std::string json;
  double seconds = 0;
  unsigned seed = 0;
  unsigned slack = 100;
  once_options once;
  std::size_t requests = 10'000;
};

struct fault {
  const char* name;
  row (*run)(lab&, const patience&);
};

constexpr fault all_faults[] = {{"killed", node_killed},
                                {"again", node_started_again},
                                {"frozen", node_frozen},
                                {"leave", node_leaves},
                                {"leader-killed", leader_killed},
                                {"leader-frozen", leader_frozen},
                                {"order", start_order},
                                {"database-down", database_down},
                                {"database-frozen", database_frozen},
                                {"database-rebuilt", database_rebuilt},
                                {"primary-restarted", primary_database_restarted},
                                {"dns-silent", dns_silent},
                                {"dns-wrong", dns_wrong},
                                {"dns-old", dns_old},
                                {"overload", frozen_under_load}};

std::vector<row> run(const chosen& given) {
  patience limits;
  limits.slack = milliseconds{given.slack};
  limits.seconds = milliseconds{static_cast<int>(given.seconds * 1000)};
  std::vector<row> rows;
  if (given.mode == "session") {
    rows.push_back(moving(given.requests, given.seed));
    print_progress(rows.back());
    return rows;
  }
  lab it;
  auto take = [&](row result) {
    print_progress(result);
    rows.push_back(std::move(result));
  };
  if (given.mode == "storm") {
    take(storm(it, limits, given.seed));
    return rows;
  }
  if (given.mode == "once") {
    take(once(it, given.once, given.seed));
    return rows;
  }
  for (const auto& each : all_faults) {
    if (!given.only.empty() && given.only != each.name)
      continue;
    it.settle();
    take(each.run(it, limits));
  }
  return rows;
}

} // namespace

int main(int argc, char** argv) {
  chosen given;
  po::options_description flags{"fly_faults [all|storm|once|session]: how a cluster takes faults"};
  flags.add_options()("help,h",
                      "this text")("mode", po::value(&given.mode)->default_value("all"),
                                   "all faults, the storm, writes with a key, or users that move")(
      "only", po::value(&given.only), "one fault: killed, frozen, leave, dns-old ...")(
      "seconds", po::value(&given.seconds), "how long faults under load last (2), the storm (12)")(
      "seed", po::value(&given.seed), "for the moments of the storm")(
      "slack", po::value(&given.slack), "ms that a busy machine may add to a limit (100)")(
      "writes", po::value(&given.once.writes), "writes with a key (500)")(
      "requests", po::value(&given.requests), "requests of the users that move (10,000)")(
      "kills", po::bool_switch(&given.once.kills),
      "kill nodes of the primary meanwhile")("json", po::value(&given.json), "also to FILE");
  po::positional_options_description places;
  places.add("mode", 1);
  try {
    po::variables_map it;
    po::store(po::command_line_parser(argc, argv).options(flags).positional(places).run(), it);
    po::notify(it);
    if (it.count("help") != 0) {
      std::cout << flags;
      return 0;
    }
    if (it.count("seconds") == 0)
      given.seconds = given.mode == "storm" ? 12 : 2;
    if (it.count("seed") == 0)
      given.seed = std::random_device{}();
    std::cerr << "seed " << given.seed << std::endl;
    auto rows = run(given);
    print(rows);
    if (!given.json.empty())
      write_json(rows, given.seed, given.json);
    auto holds = [](const row& each) { return each.broken.empty(); };
    return !rows.empty() && std::all_of(rows.begin(), rows.end(), holds) ? 0 : 1;
  } catch (const std::exception& reason) {
    std::cerr << "fly_faults: " << reason.what() << '\n';
    return 2;
  }
}
