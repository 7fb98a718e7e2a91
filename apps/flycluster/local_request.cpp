#include "apps/flycluster/local_request.hpp"

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <iostream>

#include <boost/program_options.hpp>

#include "apps/flycluster/commands.hpp"

namespace fly::apps {

namespace {

namespace po = boost::program_options;

constexpr const char* usage =
    R"(flycluster local runs your program in many regions on this machine, as it would run on Fly: a
throw-away PostgreSQL primary with streaming replicas, DNS, and one process a region.

  flycluster local up [options] -- COMMAND ARGS...
      starts it all, says what runs where, and ends it all at Ctrl-C (or --detach)
  flycluster local status [--name NAME | --dir DIR] [--json]
      what runs where; exit code 0 if all of it runs
  flycluster local down [--name NAME | --dir DIR]
      ends it and leaves nothing behind
  flycluster local fault freeze|kill node|database|dns [REGION] [--for MS] [--record FILE]
      stops all processes of one part and lets them go on after --for, or kills them for good; notes
      it in FILE, for flycluster check

Try it with the guestbook, far regions 80 ms away:
  flycluster local up --delay 80 -- build/apps/guestbook --http '{address}:8080'
  curl -d '{"author":"me","text":"hi"}' -H 'Content-Type: application/json' \
    http://127.0.0.3:8080/entries

COMMAND is started once in each region, in the current folder. In its arguments {address} becomes
the region's own loopback address and {region} its name. Its environment is yours, and as on Fly:
FLY_APP_NAME, FLY_REGION, PRIMARY_REGION, FLY_MACHINE_ID, FLY_PRIVATE_IP (to listen on), FLY_PORT,
FLY_SECRET, FLY_DNS_SERVER, DATABASE_URL (the region's own database), with --tls FLY_TLS_CERT,
FLY_TLS_KEY and FLY_TLS_CA; FLY_LOCAL_ADDRESS is where to listen for HTTP. DIR/REGION.env has the
same for your shell, DIR/REGION.log what the program prints.

Exit codes: 0 done, 1 it failed or is not up, 2 a mistake in the command.

)";

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> result{""};
  for (char c : text)
    if (c == ',')
      result.emplace_back();
    else
      result.back() += c;
  return result;
}

/// The flags as they are written; numbers wide enough to say which are out of range.
struct raw_flags {
  std::string name;
  std::string regions = "syd,lax,ams";
  std::string primary;
  std::string replicas;
  std::string folder;
  std::string record;
  std::int64_t delay_ms = 0;
  std::int64_t lasts_ms = 1000;
  std::int64_t port = 4370;
};

po::options_description describe(raw_flags& raw, local_request& asked) {
  po::options_description flags{"Options"};
  flags.add_options()("help,h", "this text")                                               //
      ("name", po::value(&raw.name)->value_name("NAME"), "the application's name (local)") //
      ("dir", po::value(&raw.folder)->value_name("DIR"),
       "folder of logs and state, new or empty (one of the name, among the temporary files)") //
      ("regions", po::value(&raw.regions)->value_name("A,B,...")->default_value(raw.regions),
       "up: the regions") //
      ("primary", po::value(&raw.primary)->value_name("REGION"),
       "up: where the writable database is (the first region)") //
      ("replicas", po::value(&raw.replicas)->value_name("A,B,..."),
       "up: regions with a replica, or 'none' (all others); one without gets no DATABASE_URL") //
      ("delay", po::value(&raw.delay_ms)->value_name("MS")->default_value(raw.delay_ms),
       "up: time from region to region, each way, for the cluster and for replication") //
      ("port", po::value(&raw.port)->value_name("PORT")->default_value(raw.port),
       "up: port of the cluster, on an address of each region") //
      ("tls", po::bool_switch(&asked.what.tls),
       "up: encrypt the links; each node gets a certificate for its region")             //
      ("detach", po::bool_switch(&asked.detach), "up: return as soon as all of it runs") //
      ("for", po::value(&raw.lasts_ms)->value_name("MS")->default_value(raw.lasts_ms),
       "fault: how long it is frozen")                                                         //
      ("record", po::value(&raw.record)->value_name("FILE"), "fault: adds it to this history") //
      ("json", po::bool_switch(&asked.json), "print JSON");
  return flags;
}

/// Turns the flags into options; returns what is wrong, "" where nothing is.
std::string take(const raw_flags& raw, local_request& asked) {
  auto& what = asked.what;
  if (!raw.name.empty())
    what.name = raw.name;
  what.regions = split(raw.regions);
  what.primary = raw.primary;
  if (!raw.replicas.empty())
    what.replicas = raw.replicas == "none" ? std::vector<std::string>{} : split(raw.replicas);
  what.delay = std::chrono::milliseconds{raw.delay_ms};
  if (raw.port < 1 || raw.port > 65'535)
    return "--port: " + std::to_string(raw.port) + " is not between 1 and 65535";
  what.port = static_cast<std::uint16_t>(raw.port);
  if (raw.lasts_ms < 1 || raw.lasts_ms > 600'000)
    return "--for: " + std::to_string(raw.lasts_ms) + " is not between 1 and 600000";
  asked.fault.lasts = std::chrono::milliseconds{raw.lasts_ms};
  asked.fault.record = raw.record;
  if (what.command.empty() && asked.action != "up")
    what.command = {"-"}; // only `up` needs one
  if (auto problem = what.problem(); !problem.empty())
    return problem;
  asked.is_named = !raw.name.empty() || !raw.folder.empty();
  what.folder =
      raw.folder.empty() ? local::default_folder(what.name) : std::filesystem::absolute(raw.folder);
  return {};
}

/// The fault's kind, part and region; returns what is wrong with them, "" where nothing is.
std::string take_fault(const std::vector<std::string>& words, local_fault& asked) {
  auto is_one_of = [](const std::string& word, std::initializer_list<const char*> known) {
    return std::find(known.begin(), known.end(), word) != known.end();
  };
  if (words.size() < 3 || !is_one_of(words[1], {"freeze", "kill"}) ||
      !is_one_of(words[2], {"node", "database", "dns"}))
    return "a fault is freeze or kill, of a node, a database or dns";
  bool has_region = words[2] != "dns";
  if (words.size() != (has_region ? 4U : 3U))
    return has_region ? "the region of the " + words[2] + " is needed, and nothing behind it"
                      : "dns is one for all regions";
  asked.kind = words[1];
  asked.part = words[2];
  asked.region = has_region ? words[3] : "";
  return {};
}

/// What is to be done; returns what is wrong, "" where nothing is.
std::string take_action(const std::vector<std::string>& words, local_request& asked) {
  if (words.empty())
    return "one of up, down, status, fault is needed";
  asked.action = words[0];
  if (asked.action == "fault")
    return take_fault(words, asked.fault);
  if (asked.action != "up" && asked.action != "down" && asked.action != "status")
    return "'" + asked.action + "' is not one of up, down, status, fault";
  return words.size() == 1 ? ""
                           : "'" + words[1] + "' was not expected (the program goes behind --)";
}

int mistake(const std::string& text) {
  std::cerr << "flycluster local: " << text << "; flycluster local --help tells more\n";
  return exit_usage;
}

} // namespace

std::optional<int> parse_local(std::vector<std::string> words, local_request& asked) {
  auto dashes = std::find(words.begin(), words.end(), "--");
  if (dashes != words.end())
    asked.what.command.assign(dashes + 1, words.end());
  words.erase(dashes, words.end());
  raw_flags raw;
  auto flags = describe(raw, asked);
  std::vector<std::string> actions;
  po::options_description all;
  all.add(flags).add_options()("action", po::value(&actions));
  po::positional_options_description positional;
  positional.add("action", -1);
  try {
    po::variables_map given;
    po::store(po::command_line_parser(words).options(all).positional(positional).run(), given);
    po::notify(given);
    if (given.count("help") != 0) {
      std::cout << usage << flags;
      return exit_done;
    }
  } catch (const po::error& reason) {
    return mistake(reason.what());
  }
  if (auto problem = take_action(actions, asked); !problem.empty())
    return mistake(problem);
  if (auto problem = take(raw, asked); !problem.empty())
    return mistake(problem);
  return std::nullopt;
}

} // namespace fly::apps
