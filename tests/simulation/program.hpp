#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fly/cluster/node.hpp"
#include "fly/cluster/options.hpp"
#include "tests/simulation/history.hpp"
#include "tests/simulation/service.hpp"
#include "tests/simulation/world.hpp"

namespace fly::simulation {

/// What all nodes of one run have in common.
struct shape {
  std::vector<std::string> regions{"ams", "lax", "syd"};
  std::size_t machines = 3;
  std::chrono::milliseconds heartbeat{500};
  std::chrono::milliseconds silence_max{2500};
  std::chrono::milliseconds handshake_timeout{1500};
  std::chrono::milliseconds dial_first{200};
  std::chrono::milliseconds dial_max{2000};
  std::chrono::milliseconds discovery_interval{1000};
  std::size_t unsent_bytes_max = 16 * 1024;
  service_bounds bounds{};
};

/// The process on one machine, from its start to its end.
class program {
public:
  /// Starts on `host`, whose task runs. `version` is that of the application.
  program(world& all, history& told, machine& host, const shape& common, std::string version);

  /// Ends at once, without a word.
  ~program();

  program(const program&) = delete;
  program& operator=(const program&) = delete;

  /// Leaves in order; only in a fiber of the machine.
  void leave();

  cluster::node& node() noexcept { return node_; }
  simulation::service& service() noexcept { return service_; }
  const std::string& version() const noexcept { return version_; }
  machine& host() const noexcept { return host_; }

private:
  static cluster::options node_options(world& all, const machine& host, const shape& common,
                                       const std::string& version);

  machine& host_;
  const std::string version_;
  cluster::node node_;
  simulation::service service_;
};

} // namespace fly::simulation
