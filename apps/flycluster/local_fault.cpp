#include "apps/flycluster/local_fault.hpp"

#include <iostream>
#include <random>

#include "apps/common/signals.hpp"
#include "apps/flycluster/commands.hpp"
#include "apps/flycluster/fault_log.hpp"
#include "apps/local/nemesis_plan.hpp"
#include "apps/local/playground.hpp"
#include "fly/testing/recorder.hpp"

namespace fly::apps {

namespace {

using std::chrono::milliseconds;

int fail(const std::string& text) {
  std::cerr << "flycluster local: " << text << '\n';
  return exit_failed;
}

/// Does faults to one playground and tells of each.
class hand {
public:
  hand(std::filesystem::path folder, const std::filesystem::path& record, bool as_json)
      : folder_(std::move(folder)), log_(record, as_json) {}

  /// Return what went wrong, "" where nothing did.
  std::string act(const local::fault& what) {
    auto since = testing::now();
    return told(local::ask_to_begin(folder_, what), since);
  }
  std::string act(const local::fault_choice& which) {
    auto since = testing::now();
    return told(local::ask_to_end(folder_, which), since);
  }
  /// Lets time pass, up to a signal.
  std::string act(milliseconds how_long) {
    wait_for_readable(-1, how_long);
    return {};
  }

  const local::fault_result& last() const { return last_; }

private:
  std::string told(local::fault_result what, testing::moment since) {
    last_ = std::move(what);
    log_.tell(last_, since);
    return last_.problem;
  }

  std::filesystem::path folder_;
  fault_log log_;
  local::fault_result last_;
};

local::nemesis_options options_for(const local::playground_state& state, const nemesis_request& by,
                                   std::uint64_t seed) {
  local::nemesis_options result{.primary = state.primary, .kinds = by.only, .seed = seed};
  for (const auto& each : state.parts)
    if (each.what == "node")
      result.regions.push_back(each.region);
    else if (each.what != "dns")
      result.databases.push_back(each.region);
  return result;
}

/// Returns what to say of a node that has ended by itself, "" where all run.
std::string ended_node(const std::filesystem::path& folder) {
  auto state = local::load(folder);
  if (!state)
    return "the playground has ended";
  for (const auto& each : state->parts)
    if (each.what == "node" && !local::is_running(each.mark))
      return "the node of " + each.region + " has ended by itself; see " + each.log;
  return {};
}

/// Ends whatever lasts, and lets all databases follow the primary.
std::string make_whole(hand& by, bool has_replicas) {
  auto problem = by.act(local::fault_choice{});
  if (problem.empty() && has_replicas)
    problem = by.act(local::fault{.kind = "rebuild"});
  return problem;
}

} // namespace

int run_fault(const std::filesystem::path& folder, const local_request& asked) {
  const auto& wanted = asked.fault;
  hand by{folder, wanted.record, asked.json};
  auto problem = wanted.begin ? by.act(*wanted.begin) : by.act(*wanted.end);
  if (problem.empty() && wanted.lasts) {
    by.act(*wanted.lasts);
    problem =
        by.act(local::fault_choice{wanted.begin->kind, wanted.begin->part, wanted.begin->region});
  }
  if (!problem.empty())
    return fail(problem);
  if (by.last().begun.empty() && by.last().ended.empty() && !asked.json)
    std::cout << (wanted.begin ? "all databases follow the primary" : "nothing was hurt") << '\n';
  return exit_done;
}

int run_nemesis(const local::playground_state& state, const std::filesystem::path& folder,
                const local_request& asked) {
  const auto& wanted = asked.nemesis;
  auto seed = wanted.seed.value_or(std::random_device{}() % 1'000'000);
  auto options = options_for(state, wanted, seed);
  if (auto problem = options.problem(); !problem.empty())
    return fail("--only: " + problem);
  std::cerr << "seed " << seed << std::endl;
  hand by{folder, wanted.record, asked.json};
  local::nemesis_plan plan{options};
  std::string problem;
  auto end = std::chrono::steady_clock::now() + wanted.lasts;
  while (problem.empty() && !is_end_asked() && std::chrono::steady_clock::now() < end) {
    for (const auto& act : plan.next())
      if (problem.empty())
        problem = std::visit([&](const auto& it) { return by.act(it); }, act);
    if (problem.empty())
      problem = ended_node(folder);
  }
  auto left = make_whole(by, options.databases.size() > 1);
  if (problem.empty())
    problem = left;
  return problem.empty() ? exit_done : fail(problem + " (seed " + std::to_string(seed) + ")");
}

} // namespace fly::apps
