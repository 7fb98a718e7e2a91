#include "tests/simulation/program.hpp"

#include <utility>

namespace fly::simulation {

cluster::options program::node_options(world& all, const machine& host, const shape& common,
                                       const std::string& version) {
  cluster::options result;
  result.region = host.region;
  result.primary_region = common.regions.front();
  result.app = "shop";
  result.machine_id = host.id;
  result.app_version = version;
  result.secret = "of the simulation";
  result.discovery_interval = common.discovery_interval;
  result.heartbeat = common.heartbeat;
  result.silence_max = common.silence_max;
  result.handshake_timeout = common.handshake_timeout;
  result.dial_first = common.dial_first;
  result.dial_max = common.dial_max;
  result.frame_bytes_max = 64 * 1024;
  result.unsent_bytes_max = common.unsent_bytes_max;
  result.kill_timeout = std::chrono::milliseconds{1000};
  result.log = [&all, id = host.id](cluster::log_level level, std::string_view text) {
    if (level != cluster::log_level::debug)
      all.log.add(id, text);
  };
  return result;
}

program::program(world& all, history& told, machine& host, const shape& common, std::string version)
    : host_(host), version_(std::move(version)), node_(node_options(all, host, common, version_)),
      service_(all, told, host, node_, version_, common.bounds) {
  node_.join();
}

program::~program() = default;

void program::leave() {
  service_.stop_users();
  node_.leave();
}

} // namespace fly::simulation
