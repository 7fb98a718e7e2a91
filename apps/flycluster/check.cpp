#include "apps/flycluster/check.hpp"

#include <fstream>
#include <iostream>

#include "apps/flycluster/commands.hpp"
#include "fly/actors/error.hpp"
#include "fly/testing/print.hpp"

namespace fly::apps {

int run_check(const std::vector<std::string>& words) {
  if (words.empty() || words.front().starts_with("-")) {
    std::cerr << "flycluster check FILE...: the histories of one run, by fly::testing::recorder\n";
    return exit_usage;
  }
  testing::history all;
  for (const auto& file : words) {
    std::ifstream from{file};
    auto reason = from ? testing::read_history(from, all)
                       : make_error(errc::invalid_argument, "it cannot be read");
    if (reason) {
      std::cerr << "flycluster check: " << file << ": " << text_of(reason) << '\n';
      return exit_usage;
    }
  }
  if (all.empty()) {
    std::cerr << "flycluster check: there is no event in these files: nothing to judge\n";
    return exit_usage;
  }
  testing::sort_by_time(all);
  auto report = testing::check(all);
  testing::print(std::cout, all, report);
  std::cout << (report.is_clean() ? "clean" : "NOT CLEAN") << std::endl;
  return report.is_clean() ? exit_done : exit_failed;
}

} // namespace fly::apps
