#include "apps/flycluster/commands.hpp"

#include <iostream>

#include <nlohmann/json.hpp>

#include "fly/actors/error.hpp"
#include "fly/rpc/tools.hpp"

namespace fly::apps {

caf::expected<std::string> json_arguments(const std::vector<std::string>& words) {
  auto arguments = nlohmann::json::array();
  for (std::size_t i = 1; i < words.size(); ++i) {
    auto value = nlohmann::json::parse(words[i], nullptr, false);
    if (value.is_discarded())
      return make_error(errc::invalid_argument,
                        "argument " + std::to_string(i) + " is no JSON: " + words[i] +
                            " (a text needs its quotes: '\"" + words[i] + "\"')");
    arguments.push_back(std::move(value));
  }
  return arguments.dump();
}

int run_call(const visit& here, const rpc::target& whom, const std::vector<std::string>& words,
             const std::string& key) {
  auto arguments = json_arguments(words);
  if (!arguments)
    return print_error(here.json, arguments.error());
  auto result =
      rpc::call_json(here.rpc.with({.timeout = here.timeout}), whom, words[0], *arguments, key);
  if (!result)
    return print_error(here.json, result.error());
  std::cout << *result << '\n';
  return exit_done;
}

} // namespace fly::apps
