#include "fly/cluster/log.hpp"

#include <cstdio>
#include <string>

namespace fly::cluster {

std::string_view to_string(log_level level) noexcept {
  switch (level) {
  case log_level::debug:
    return "debug";
  case log_level::info:
    return "info";
  case log_level::warning:
    return "warning";
  case log_level::error:
    break;
  }
  return "error";
}

log_sink log_to_stderr(log_level least) {
  return [least](log_level level, std::string_view text) {
    if (level < least)
      return;
    std::string line{"fly: "};
    line += to_string(level);
    line += ": ";
    line += text;
    line += '\n';
    std::fputs(line.c_str(), stderr); // one call a line: lines of several threads do not mix
  };
}

} // namespace fly::cluster
