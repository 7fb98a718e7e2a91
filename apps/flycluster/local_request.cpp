#include "apps/flycluster/local_request.hpp"

#include <algorithm>
#include <cstdint>
#include <iostream>

#include "apps/flycluster/commands.hpp"
#include "apps/flycluster/local_help.hpp"
#include "apps/flycluster/words.hpp"

namespace fly::apps {

namespace {

namespace po = boost::program_options;

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
  std::string one_way;
  std::string only;
  std::int64_t delay_ms = 0;
  std::int64_t lasts_ms = 0;
  std::int64_t port = 4370;
  std::int64_t seconds = 30;
  std::int64_t seed = -1;
};

/// The flags by the actions that take them.
struct flag_groups {
  po::options_description all{"Options"};
  po::options_description up{"Options of up"};
  po::options_description fault{"Options of fault"};
  po::options_description nemesis{"Options of nemesis"};
};

void describe_up(raw_flags& raw, local_request& asked, po::options_description& flags) {
  flags.add_options() //
      ("regions", po::value(&raw.regions)->value_name("A,B,...")->default_value(raw.regions),
       "the regions") //
      ("primary", po::value(&raw.primary)->value_name("REGION"),
       "where the writable database is (the first region)") //
      ("replicas", po::value(&raw.replicas)->value_name("A,B,..."),
       "regions with a replica, or 'none' (all others); one without gets no DATABASE_URL") //
      ("delay", po::value(&raw.delay_ms)->value_name("MS")->default_value(raw.delay_ms),
       "time from region to region, each way, for the cluster and for replication") //
      ("port", po::value(&raw.port)->value_name("PORT")->default_value(raw.port),
       "port of the cluster, on an address of each region") //
      ("tls", po::bool_switch(&asked.what.tls),
       "encrypt the links; each node gets a certificate for its region") //
      ("detach", po::bool_switch(&asked.detach), "return as soon as all of it runs");
}

void describe(raw_flags& raw, local_request& asked, flag_groups& into) {
  into.all.add_options()("help,h", "this text, or that of the action")                     //
      ("name", po::value(&raw.name)->value_name("NAME"), "the application's name (local)") //
      ("dir", po::value(&raw.folder)->value_name("DIR"),
       "folder of logs and state, new or empty (one of the name, among the temporary files)") //
      ("json", po::bool_switch(&asked.json), "print JSON");
  describe_up(raw, asked, into.up);
  into.fault.add_options() //
      ("for", po::value(&raw.lasts_ms)->value_name("MS"),
       "how long it lasts, 1 to 600000 (until another command ends it)")         //
      ("one-way", po::value(&raw.one_way)->value_name("in|out"), "cut: only so") //
      ("record", po::value(&raw.record)->value_name("FILE"),
       "adds it to this history; also of nemesis");
  into.nemesis.add_options() //
      ("seconds", po::value(&raw.seconds)->value_name("N")->default_value(raw.seconds),
       "begins no fault after this time, 1 to 86400") //
      ("seed", po::value(&raw.seed)->value_name("S"),
       "where the faults come from (any one; it is printed)") //
      ("only", po::value(&raw.only)->value_name("KIND,..."), "these kinds alone");
}

std::string out_of_range(const std::string& flag, std::int64_t number, std::int64_t least,
                         std::int64_t most) {
  if (number >= least && number <= most)
    return {};
  return flag + ": " + std::to_string(number) + " is not between " + std::to_string(least) +
         " and " + std::to_string(most);
}

/// What hurts; returns what is wrong, "" where nothing is.
std::string take_faults(const words_read& all, const raw_flags& raw, local_request& asked) {
  if (all.has("for")) {
    if (auto problem = out_of_range("--for", raw.lasts_ms, 1, 600'000); !problem.empty())
      return problem;
    asked.fault.lasts = std::chrono::milliseconds{raw.lasts_ms};
  }
  if (auto problem = out_of_range("--seconds", raw.seconds, 1, 86'400); !problem.empty())
    return problem;
  asked.nemesis.lasts = std::chrono::seconds{raw.seconds};
  if (all.has("seed")) {
    if (auto problem = out_of_range("--seed", raw.seed, 0, INT32_MAX); !problem.empty())
      return problem;
    asked.nemesis.seed = static_cast<std::uint64_t>(raw.seed);
  }
  if (!raw.only.empty())
    asked.nemesis.only = split(raw.only);
  asked.fault.record = asked.nemesis.record = raw.record;
  if (asked.action == "fault")
    return parse_fault({all.words.begin() + 1, all.words.end()}, raw.one_way, asked.fault);
  return {};
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
  if (auto problem = out_of_range("--port", raw.port, 1, 65'535); !problem.empty())
    return problem;
  what.port = static_cast<std::uint16_t>(raw.port);
  if (what.command.empty() && asked.action != "up")
    what.command = {"-"}; // only `up` needs one
  if (auto problem = what.problem(); !problem.empty())
    return problem;
  asked.is_named = !raw.name.empty() || !raw.folder.empty();
  what.folder =
      raw.folder.empty() ? local::default_folder(what.name) : std::filesystem::absolute(raw.folder);
  return {};
}

/// What is to be done; returns what is wrong, "" where nothing is.
std::string take_action(const words_read& all, local_request& asked) {
  constexpr auto actions = "up, down, status, fault, nemesis";
  const auto& words = all.words;
  if (words.empty())
    return std::string{"one of "} + actions + " is needed";
  asked.action = words[0];
  if (asked.action != "up" && asked.action != "down" && asked.action != "status" &&
      asked.action != "fault" && asked.action != "nemesis")
    return "'" + asked.action + "' is not one of " + actions;
  if (words.size() > 1 && asked.action != "fault")
    return "'" + words[1] + "' was not expected (the program goes behind --)";
  bool hurts = asked.action == "fault" || asked.action == "nemesis";
  if (all.has("record") && !hurts)
    return "--record is for fault and nemesis";
  for (const auto* flag : {"for", "one-way"})
    if (all.has(flag) && asked.action != "fault")
      return std::string{"--"} + flag + " is for fault";
  for (const auto* flag : {"seed", "only"})
    if (all.has(flag) && asked.action != "nemesis")
      return std::string{"--"} + flag + " is for nemesis";
  return {};
}

void print_help(const std::string& action, const flag_groups& flags) {
  std::cout << local_help(action) << flags.all;
  if (action != "fault" && action != "nemesis")
    std::cout << '\n' << flags.up;
  if (action != "nemesis")
    std::cout << '\n' << flags.fault;
  if (action != "fault")
    std::cout << '\n' << flags.nemesis;
}

} // namespace

std::optional<int> parse_local(std::vector<std::string> words, local_request& asked) {
  auto dashes = std::find(words.begin(), words.end(), "--");
  if (dashes != words.end())
    asked.what.command.assign(dashes + 1, words.end());
  words.erase(dashes, words.end());
  raw_flags raw;
  flag_groups flags;
  describe(raw, asked, flags);
  po::options_description both;
  both.add(flags.all).add(flags.up).add(flags.fault).add(flags.nemesis);
  auto all = read_words(words, both);
  if (all.problem.empty() && all.has("help")) {
    print_help(all.words.empty() ? "" : all.words[0], flags);
    return exit_done;
  }
  auto problem = all.problem;
  if (problem.empty())
    problem = take_action(all, asked);
  if (problem.empty())
    problem = take_faults(all, raw, asked);
  if (problem.empty())
    problem = take(raw, asked);
  if (problem.empty())
    return std::nullopt;
  return mistake_in(asked.action == "fault" || asked.action == "nemesis" ? "local " + asked.action
                                                                         : "local",
                    problem);
}

} // namespace fly::apps
