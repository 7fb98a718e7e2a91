#include "apps/flycluster/check.hpp"

#include <fstream>
#include <iostream>

#include <nlohmann/json.hpp>

#include "apps/flycluster/commands.hpp"
#include "apps/flycluster/words.hpp"
#include "fly/actors/error.hpp"
#include "fly/testing/print.hpp"

namespace fly::apps {

namespace {

namespace po = boost::program_options;
using nlohmann::json;

constexpr const char* usage =
    R"(flycluster check judges the histories of one run, which fly::testing::recorder,
flycluster local fault --record and flycluster local nemesis --record wrote.

  flycluster check [--slack MS] [--json] FILE...
      prints what is wrong, each with the fewest events that show it, and counts

Exit codes: 0 nothing is wrong, 1 something is, 2 a mistake in the command or a file that is no
history. docs/testing-your-service.md tells what is found.

)";

caf::error read_files(const std::vector<std::string>& files, testing::history& into) {
  for (const auto& file : files) {
    std::ifstream from{file};
    auto reason = from ? testing::read_history(from, into)
                       : make_error(errc::invalid_argument, "it cannot be read");
    if (reason)
      return make_error(errc::invalid_argument, file + ": " + text_of(reason));
  }
  testing::sort_by_time(into);
  return {};
}

json to_json(const testing::check_report& report) {
  json result{{"clean", report.is_clean()},
              {"operations", report.operations},
              {"faults", report.faults},
              {"flaws", json::object()},
              {"findings", json::array()},
              {"lost_past_switch", report.lost_past_switch},
              {"lists_without_last", report.keys_without_last}};
  for (const auto& [what, count] : report.flaws)
    result["flaws"][std::string{to_string(what)}] = count;
  for (const auto& each : report.findings) {
    json evidence = json::array();
    for (const auto& event : each.evidence)
      evidence.push_back(json::parse(testing::to_line(event)));
    result["findings"].push_back(
        {{"flaw", to_string(each.what)}, {"text", each.text}, {"evidence", std::move(evidence)}});
  }
  return result;
}

} // namespace

int run_check(const std::vector<std::string>& words) {
  testing::check_limits limits;
  std::int64_t slack_ms = limits.deadline_slack.count() / 1000;
  bool as_json = false;
  po::options_description flags{"Options"};
  flags.add_options()("help,h", "this text") //
      ("slack", po::value(&slack_ms)->value_name("MS")->default_value(slack_ms),
       "added to every deadline, for a machine that has much to do") //
      ("json", po::bool_switch(&as_json), "print JSON");
  auto all = read_words(words, flags);
  if (!all.problem.empty())
    return mistake_in("check", all.problem);
  if (all.has("help")) {
    std::cout << usage << flags;
    return exit_done;
  }
  if (all.words.empty())
    return mistake_in("check", "the files of a history are needed");
  if (slack_ms < 0 || slack_ms > 600'000)
    return mistake_in("check",
                      "--slack: " + std::to_string(slack_ms) + " is not between 0 and 600000");
  limits.deadline_slack = std::chrono::milliseconds{slack_ms};
  testing::history history;
  if (auto reason = read_files(all.words, history)) {
    std::cerr << "flycluster check: " << text_of(reason) << '\n';
    return exit_usage;
  }
  if (history.empty())
    return mistake_in("check", "there is no event in these files: nothing to judge");
  auto report = testing::check(history, limits);
  if (as_json) {
    std::cout << to_json(report).dump(2) << std::endl;
  } else {
    testing::print(std::cout, history, report);
    std::cout << (report.is_clean() ? "clean" : "NOT CLEAN") << std::endl;
  }
  return report.is_clean() ? exit_done : exit_failed;
}

} // namespace fly::apps
