#include "apps/flycluster/local_fault_words.hpp"

#include <algorithm>
#include <charconv>

namespace fly::apps {

namespace {

using words_list = std::vector<std::string>;

constexpr int delay_ms_max = 5000;

bool is_one_of(const std::string& word, std::initializer_list<const char*> known) {
  return std::find(known.begin(), known.end(), word) != known.end();
}

/// "node lax", "database lax" or "dns" behind the verb.
std::string take_part(const words_list& words, std::string& part, std::string& region) {
  const auto& verb = words[0];
  if (words.size() < 2 || !is_one_of(words[1], {"node", "database", "dns"}))
    return verb + " what? One of: " + verb + " node REGION, " + verb + " database REGION, " + verb +
           " dns";
  part = words[1];
  bool has_region = part != "dns";
  if (words.size() < (has_region ? 3U : 2U))
    return verb + " " + part + " needs a region";
  if (words.size() > (has_region ? 3U : 2U))
    return "'" + words.back() + "' was not expected" + (has_region ? "" : ": dns is one for all");
  region = has_region ? words[2] : "";
  return {};
}

/// A region behind the verb, and nothing else.
std::string take_region(const words_list& words, bool is_needed, std::string& region) {
  if (words.size() == 1)
    return is_needed ? words[0] + " needs a region" : "";
  if (words.size() > 2)
    return "'" + words[2] + "' was not expected";
  region = words[1];
  return {};
}

std::string take_delay(const words_list& words, local::fault& what) {
  if (words.size() != 3)
    return "delay needs a region and milliseconds each way: delay lax 200";
  const auto& text = words[2];
  int number = -1;
  auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc{} || end != text.data() + text.size() || number < 0 ||
      number > delay_ms_max)
    return "delay: '" + text + "' is not a number of milliseconds between 0 and " +
           std::to_string(delay_ms_max);
  what.region = words[1];
  what.delay = std::chrono::milliseconds{number};
  return {};
}

std::string take_begin(const words_list& words, const std::string& one_way, local::fault& what) {
  what.kind = words[0];
  what.one_way = one_way;
  if (is_one_of(what.kind, {"kill", "freeze", "restart"}))
    return take_part(words, what.part, what.region);
  if (what.kind == "delay")
    return take_delay(words, what);
  return take_region(words, what.kind != "rebuild", what.region);
}

std::string take_end(const words_list& words, local::fault_choice& which) {
  if (words[0] == "heal")
    return take_region(words, false, which.region);
  which.kind = words[0] == "start" ? "kill" : "freeze";
  return take_part(words, which.part, which.region);
}

std::string check_flags(const fault_request& asked, const std::string& verb,
                        const std::string& one_way) {
  if (!one_way.empty() && verb != "cut")
    return "--one-way is for cut";
  if (!one_way.empty() && !is_one_of(one_way, {"in", "out"}))
    return "--one-way: '" + one_way + "' is neither 'in' nor 'out'";
  if (asked.lasts && (!asked.begin || !asked.begin->lasts()))
    return "--for is for kill, freeze, cut and delay; " + verb + " is over when it is done";
  return {};
}

} // namespace

std::string parse_fault(const std::vector<std::string>& words, const std::string& one_way,
                        fault_request& asked) {
  constexpr auto all = "kill, start, restart, freeze, thaw, cut, delay, heal, promote, rebuild";
  if (words.empty())
    return std::string{"fault needs one of "} + all;
  std::string problem;
  if (is_one_of(words[0], {"start", "thaw", "heal"}))
    problem = take_end(words, asked.end.emplace());
  else if (is_one_of(words[0], {"kill", "restart", "freeze", "cut", "delay", "promote", "rebuild"}))
    problem = take_begin(words, one_way, asked.begin.emplace());
  else
    return "'" + words[0] + "' is no fault; it is one of " + all;
  return problem.empty() ? check_flags(asked, words[0], one_way) : problem;
}

} // namespace fly::apps
