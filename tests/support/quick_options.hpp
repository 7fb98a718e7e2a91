#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fly/cluster/options.hpp"

namespace fly::test {

/// Returns options of a node on any free port, quick enough for a test. The primary region is syd.
inline cluster::options quick_options(const std::string& region,
                                      std::vector<std::string> peers = {}) {
  cluster::options result;
  result.region = region;
  result.primary_region = "syd";
  result.port = 0;
  result.peers = std::move(peers);
  result.heartbeat = std::chrono::milliseconds{50};
  result.silence_max = std::chrono::milliseconds{2000};
  result.dial_first = std::chrono::milliseconds{20};
  result.dial_max = std::chrono::milliseconds{200};
  result.kill_timeout = std::chrono::milliseconds{1000};
  result.log = [](cluster::log_level, std::string_view) {};
  return result;
}

} // namespace fly::test
