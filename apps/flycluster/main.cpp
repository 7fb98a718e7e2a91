// flycluster: looks into a running cluster from a terminal.

#include <iostream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <boost/program_options.hpp>

#include <nlohmann/json.hpp>

#include "apps/common/json.hpp"
#include "apps/flycluster/commands.hpp"
#include "apps/flycluster/local.hpp"
#include "fly/actors/error.hpp"

namespace po = boost::program_options;
using namespace std::chrono_literals;

namespace fly::apps {

int print_error(const visit& here, const caf::error& reason) {
  if (here.json)
    std::cout << error_json(reason).dump(2) << '\n';
  else
    std::cerr << "flycluster: " << fly::to_string(reason) << '\n';
  return exit_failed;
}

} // namespace fly::apps

namespace {

using namespace fly::apps;

constexpr const char* usage =
    R"(flycluster looks into a running cluster as a visitor: it is never asked for work.

  flycluster [options] status
      members: id, region, role, timeline, LSN, lag, state, version, since
  flycluster [options] call NAME ARGS...
      runs a function by its name; each argument is JSON:
      flycluster call guestbook.shout '"hello"'
  flycluster local up|down|status
      runs your program in many regions on this machine; flycluster local --help tells more

Finds the cluster as its nodes do: FLY_APP_NAME and DNS, or --peer. Exit codes: 0 done,
1 the cluster said no or is not there, 2 a mistake in the command.

)";

/// The environment may be that of a member's machine: a visitor must not pass for the member.
fly::cluster::options visitor_options() {
  auto result = fly::cluster::options::from_env();
  result.machine_id.clear();
  return result;
}

struct request {
  fly::cluster::options cluster = visitor_options();
  std::vector<std::string> words;
  std::string region;
  std::string member;
  double timeout = 5;
  bool json = false;
};

/// Waits until a member is there, or the time is over.
bool meet(const fly::cluster::node& node, std::chrono::milliseconds longest) {
  auto deadline = std::chrono::steady_clock::now() + longest;
  while (node.members().empty()) {
    if (std::chrono::steady_clock::now() > deadline)
      return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

caf::error nobody(const fly::cluster::options& settings) {
  std::string where;
  for (const auto& peer : settings.peers)
    where += " " + peer;
  if (auto name = settings.discovery_name(); !name.empty())
    where += " " + name + (settings.dns_server.empty() ? "" : " at " + settings.dns_server);
  return fly::make_error(fly::errc::no_such_member,
                         where.empty() ? "no member to ask: give --peer HOST:PORT, or --app NAME "
                                         "where DNS knows it"
                                       : "no member answered; tried:" + where);
}

int run(request& asked) {
  asked.cluster.observer = true;
  if (asked.cluster.peers.empty() && asked.cluster.discovery_name().empty())
    asked.cluster.peers = {"127.0.0.1"}; // a laptop's single node
  auto timeout = std::chrono::milliseconds{static_cast<std::int64_t>(asked.timeout * 1000)};
  fly::cluster::node node{asked.cluster};
  fly::rpc::endpoint rpc{node, {.workers = 1}};
  visit here{.node = node, .rpc = rpc, .timeout = timeout, .json = asked.json};
  if (auto reason = node.join())
    return print_error(here, reason);
  if (!meet(node, timeout))
    return print_error(here, nobody(asked.cluster));
  if (asked.words[0] == "status")
    return run_status(here);
  auto whom = !asked.member.empty()   ? fly::rpc::target::member(asked.member)
              : !asked.region.empty() ? fly::rpc::target::region(asked.region)
                                      : fly::rpc::target::primary();
  return run_call(here, whom, {asked.words.begin() + 1, asked.words.end()});
}

/// Reads the command line. Returns an exit code, or nothing where there is a command to run.
std::optional<int> parse(int argc, char** argv, request& asked) {
  po::options_description flags{"Options (defaults < environment < flags)"};
  flags.add_options()("help,h", "this text")                                                     //
      ("json", po::bool_switch(&asked.json), "print JSON")                                       //
      ("timeout", po::value(&asked.timeout)->default_value(5), "seconds in all")                 //
      ("in", po::value(&asked.region), "call: a member of this region (default: the primary's)") //
      ("on", po::value(&asked.member), "call: the member with this id");
  asked.cluster.describe(flags);
  po::options_description all;
  all.add(flags).add_options()("words", po::value(&asked.words));
  po::positional_options_description words;
  words.add("words", -1);
  try {
    po::variables_map given;
    po::store(po::command_line_parser(argc, argv).options(all).positional(words).run(), given);
    po::notify(given);
    if (given.count("help") != 0) {
      std::cout << usage << flags;
      return exit_done;
    }
  } catch (const po::error& reason) {
    std::cerr << "flycluster: " << reason.what() << "; --help lists the options\n";
    return exit_usage;
  }
  bool known = !asked.words.empty() && (asked.words[0] == "status" || asked.words[0] == "call");
  if (!known || (asked.words[0] == "call" && asked.words.size() < 2) || asked.timeout < 0.001 ||
      asked.timeout > 86'400) {
    std::cerr << usage << flags;
    return exit_usage;
  }
  return std::nullopt;
}

} // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view{argv[1]} == "local")
    return run_local({argv + 2, argv + argc});
  request asked;
  if (auto status = parse(argc, argv, asked))
    return *status;
  return run(asked);
}
