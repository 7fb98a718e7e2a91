// flycluster: looks into a running cluster from a terminal.

#include <iostream>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "apps/common/json.hpp"
#include "apps/flycluster/cert.hpp"
#include "apps/flycluster/check.hpp"
#include "apps/flycluster/commands.hpp"
#include "apps/flycluster/doctor.hpp"
#include "apps/flycluster/local.hpp"
#include "apps/flycluster/misplaced.hpp"
#include "apps/flycluster/primary.hpp"
#include "apps/flycluster/schema.hpp"
#include "apps/flycluster/words.hpp"
#include "fly/actors/error.hpp"

namespace po = boost::program_options;
using namespace std::chrono_literals;

namespace fly::apps {

int print_error(bool json, const caf::error& reason) {
  if (json)
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
      with --key KEY a write happens once, however often the command is given; an argument that
      begins with '-' stands behind --: flycluster call numbers.twice -- -5
  flycluster [options] explain NAME ARGS...
      makes one real call as a member would (a write is written) and says where its time went:
      flycluster explain --from lax guestbook.shout '"hello"'
        find member   waiting for somebody to ask: a region without nodes, no primary
        queue         at that member, for a worker; a write also for a database connection
        wire          there and back; most of it where regions are far apart
        function      the function, with its statements
        commit        COMMIT on the primary, and its position in the log
        replication   until the asking region's database had the write
        wake          until the caller's thread ran again
      The parts add up to the total. A function that is no write has none of the last three, and
      a write that runs on the asking node none of the last two
  flycluster [options] doctor
      checks what a node needs here: environment, DNS, ports, the database and what its role may
      do, and the members: databases, versions, clocks. Each line is ok, a warning or a problem,
      with what to do; 0 only where nothing is a problem. Run it where a node runs
  flycluster [options] primary
      who is primary, what each database claims, the history of promotions, conflicts
  flycluster [options] primary move REGION
      moves the primary in order: writes of fly are held (their callers wait), the database of
      REGION gets all of them, --command runs or you are told what to do, writes go on there:
      flycluster primary move lax --command 'ssh lax-db pg_ctl promote -D /var/lib/postgresql/15'
      --hold is the longest time that writes are held; if it fails they go on where they were
  flycluster schema
      makes fly's own tables in the primary's database (DATABASE_URL), or brings them up to date:
      for nodes whose role may not. --grant ROLE lets a role use them, --print shows the statements
  flycluster cert init|issue
      makes an authority and certificates for TLS; flycluster cert --help tells more
  flycluster local up|down|status|fault|nemesis
      runs your program in many regions on this machine, and hurts what runs there; flycluster
      local --help tells more
  flycluster check FILE...
      judges the histories that fly::testing::recorder wrote, all of one run: prints what is wrong,
      and counts; 0 only where nothing is (docs/testing-your-service.md)

Finds the cluster as its nodes do: FLY_APP_NAME and DNS, or --peer. Exit codes: 0 done,
1 the cluster said no or is not there, 2 a mistake in the command.

)";

struct request {
  fly::cluster::options cluster = fly::cluster::options::from_env();
  fly::repo::options repo = fly::repo::options::from_env(cluster);
  std::vector<std::string> words;
  std::string region;
  std::string member;
  std::string from;
  std::string key;
  std::vector<std::string> grants;
  bool print = false;
  std::string command;
  double hold = 30;
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

std::chrono::milliseconds milliseconds_of(double seconds) {
  return std::chrono::milliseconds{static_cast<std::int64_t>(seconds * 1000)};
}

/// Looks at everything that can be seen from here, one after the other.
int run_doctor(request& asked) {
  patient who{
      .cluster = asked.cluster, .repo = asked.repo, .timeout = milliseconds_of(asked.timeout)};
  auto all = check_environment(who);
  auto add = [&](const findings& more) { all.insert(all.end(), more.begin(), more.end()); };
  std::vector<std::string> addresses;
  bool usable = all.front().state == finding::state::ok;
  if (usable) {
    add(check_dns(who, addresses));
    add(check_ports(who, addresses));
  }
  add(check_database(who));
  if (usable) {
    std::mutex mutex;
    std::string last; // what the node says meanwhile: why a member refuses it
    asked.cluster.observer = true;
    asked.cluster.log = [&](fly::cluster::log_level level, std::string_view text) {
      std::lock_guard guard{mutex};
      if (level != fly::cluster::log_level::info)
        last = text;
    };
    fly::cluster::node node{asked.cluster};
    fly::rpc::endpoint rpc{node, {.workers = 1}};
    auto reason = node.join();
    if (!reason && meet(node, who.timeout))
      add(check_members({.node = node, .rpc = rpc, .timeout = who.timeout}));
    else {
      std::lock_guard guard{mutex};
      std::string text = "nobody answers";
      if (reason)
        text = fly::text_of(reason);
      else if (!last.empty())
        text += ": " + last;
      add({finding{"members", finding::state::problem, text,
                   "do all nodes have the same FLY_APP_NAME and FLY_SECRET?"}});
    }
  }
  return print_findings(all, asked.json);
}

int run(request& asked) {
  if (asked.cluster.peers.empty() && asked.cluster.discovery_name().empty())
    asked.cluster.peers = {"127.0.0.1"}; // a laptop's single node
  if (asked.words[0] == "doctor")
    return run_doctor(asked);
  if (asked.words[0] == "schema")
    return run_schema({.cluster = asked.cluster,
                       .repo = asked.repo,
                       .grants = asked.grants,
                       .timeout = milliseconds_of(asked.timeout),
                       .print = asked.print,
                       .json = asked.json});
  asked.cluster.observer = true;
  if (asked.words[0] == "primary") // it tells of the primary itself
    asked.cluster.log = [](fly::cluster::log_level, std::string_view) {};
  auto timeout = milliseconds_of(asked.timeout);
  fly::cluster::node node{asked.cluster};
  fly::rpc::endpoint rpc{node, {.workers = 1}};
  visit here{.node = node, .rpc = rpc, .timeout = timeout, .json = asked.json};
  if (auto reason = node.join())
    return print_error(here.json, reason);
  if (!meet(node, timeout))
    return print_error(here.json, nobody(asked.cluster));
  if (asked.words[0] == "status")
    return run_status(here);
  if (asked.words[0] == "primary")
    return asked.words.size() == 1 ? run_primary(here)
                                   : run_primary_move(here, {.region = asked.words[2],
                                                             .command = asked.command,
                                                             .hold = milliseconds_of(asked.hold)});
  auto whom = !asked.member.empty()   ? fly::rpc::target::member(asked.member)
              : !asked.region.empty() ? fly::rpc::target::region(asked.region)
                                      : fly::rpc::target::primary();
  std::vector<std::string> words{asked.words.begin() + 1, asked.words.end()};
  return asked.words[0] == "explain" ? run_explain(here, asked.from, whom, words)
                                     : run_call(here, whom, words, asked.key);
}

/// Returns what is wrong with a command that was given; "" where nothing is.
std::string mistake_in(const request& asked, const fly::apps::words_read& all) {
  const auto& words = asked.words;
  bool calls = words[0] == "call" || words[0] == "explain";
  if (calls && words.size() < 2)
    return words[0] + " needs the NAME of a function";
  if (words[0] == "primary" && words.size() != 1 && (words.size() != 3 || words[1] != "move"))
    return "primary stands alone, or before: move REGION";
  if (!calls && words[0] != "primary" && words[0] != "status" && words[0] != "doctor" &&
      words[0] != "schema")
    return "'" + words[0] +
           "' is not one of status, call, explain, primary, doctor, schema, local, cert, check";
  if (!calls && words[0] != "primary" && words.size() > 1)
    return words[0] + " takes no '" + words[1] + "'";
  if (!(asked.timeout >= 0.001 && asked.timeout <= 86'400)) // nor "nan"
    return "--timeout must be 0.001 to 86400 seconds";
  if (!(asked.hold >= 0.001 && asked.hold <= 3600))
    return "--hold must be 0.001 to 3600 seconds";
  return misplaced(words, all);
}

/// Reads the command line. Returns an exit code, or nothing where there is a command to run.
std::optional<int> parse(int argc, char** argv, request& asked) {
  po::options_description flags{"Options (defaults < environment < flags)"};
  flags.add_options()("help,h", "this text")                                     //
      ("json", po::bool_switch(&asked.json), "print JSON")                       //
      ("timeout", po::value(&asked.timeout)->default_value(5), "seconds in all") //
      ("in", po::value(&asked.region),
       "call, explain: ask a member of this region (default: the primary's)")        //
      ("on", po::value(&asked.member), "call, explain: ask the member with this id") //
      ("key", po::value(&asked.key), "call: the key of a write that happens once")   //
      ("from", po::value(&asked.from),
       "explain: the member or region that makes the call (default: this region's, else any)") //
      ("command", po::value(&asked.command), "primary move: makes the database of REGION primary")(
          "hold", po::value(&asked.hold)->default_value(30),
          "primary move: seconds that writes wait")("grant", po::value(&asked.grants),
                                                    "schema: a role that may use the tables") //
      ("print", po::bool_switch(&asked.print), "schema: show the statements, change nothing") //
      ("database-url", po::value(&asked.repo.database_url),
       "doctor: the database of this place; schema: the primary's (DATABASE_URL)");
  asked.cluster.describe(flags);
  auto all = read_words({argv + 1, argv + argc}, flags);
  if (!all.problem.empty()) {
    std::cerr << "flycluster: " << all.problem << "; --help lists the options\n";
    return exit_usage;
  }
  if (all.has("help")) {
    std::cout << usage << flags;
    return exit_done;
  }
  asked.words = all.words;
  if (asked.words.empty())
    return std::cerr << usage << flags, exit_usage;
  if (auto wrong = mistake_in(asked, all); !wrong.empty()) {
    std::cerr << "flycluster: " << wrong << "; --help tells more\n";
    return exit_usage;
  }
  return std::nullopt;
}

int run(int argc, char** argv) {
  std::string_view first{argc > 1 ? argv[1] : ""};
  if (first == "local")
    return run_local({argv + 2, argv + argc});
  if (first == "cert")
    return run_cert({argv + 2, argv + argc});
  if (first == "check")
    return run_check({argv + 2, argv + argc});
  request asked;
  auto status = parse(argc, argv, asked);
  return status ? *status : run(asked);
}

} // namespace

int main(int argc, char** argv) {
  return fly::apps::finished([=] { return run(argc, argv); });
}
