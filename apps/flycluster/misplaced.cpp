#include "apps/flycluster/misplaced.hpp"

#include <algorithm>

namespace fly::apps {

namespace {

/// A flag, and the commands that look at it.
struct flag_place {
  const char* flag;
  std::vector<std::string> commands;
};

const std::vector<flag_place>& places() {
  static const std::vector<flag_place> result{
      {"in", {"call", "explain"}}, {"on", {"call", "explain"}},   {"key", {"call"}},
      {"from", {"explain"}},       {"command", {"primary move"}}, {"hold", {"primary move"}},
      {"grant", {"schema"}},       {"print", {"schema"}},
  };
  return result;
}

} // namespace

std::string misplaced(const std::vector<std::string>& words, const words_read& all) {
  auto is_given = [&](const char* flag) { return all.has(flag) && !all.given[flag].defaulted(); };
  bool moves = words[0] == "primary" && words.size() > 1;
  auto command = moves ? "primary move" : words[0];
  for (const auto& it : places())
    if (is_given(it.flag) &&
        std::find(it.commands.begin(), it.commands.end(), command) == it.commands.end())
      return command + " takes no --" + it.flag;
  if (is_given("in") && is_given("on"))
    return "--in and --on: a member is asked by its region or by its id";
  return {};
}

} // namespace fly::apps
