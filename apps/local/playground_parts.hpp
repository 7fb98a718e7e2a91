#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/local/control.hpp"
#include "apps/local/dns_server.hpp"
#include "apps/local/environment.hpp"
#include "apps/local/loopback_block.hpp"
#include "apps/local/playground.hpp"
#include "apps/local/process.hpp"
#include "apps/local/region_databases.hpp"
#include "apps/local/region_lines.hpp"

namespace fly::local {

/// What a playground is made of: starts it (playground_start.cpp), hurts it (playground_faults.cpp)
/// and ends it.
class playground::parts {
public:
  parts(playground_options options, std::function<void()> checkpoint);
  ~parts();

  parts(const parts&) = delete;
  parts& operator=(const parts&) = delete;

  const playground_state& state() const noexcept { return state_; }
  const std::vector<std::string>& silent() const noexcept { return silent_; }
  std::vector<std::string> look();

  fault_result begin(const fault& what);
  fault_result end(const fault_choice& which);

  const control_door& door() const { return *door_; }

private:
  struct node {
    std::string region;
    std::unique_ptr<process> running;
    bool told = false; // of its end
  };

  // -- start and end
  void start();
  void end_all();
  void start_databases();
  void start_dns();
  void start_node(std::size_t index);
  std::unique_ptr<process> launch(std::size_t index) const;
  void wait_for_nodes();
  std::string with_port(const std::string& address) const;
  variables environment_of(std::size_t index) const;

  // -- faults
  std::size_t index(const std::string& region) const;
  node& node_of(const std::string& region);
  postgres_server& server_of(const std::string& region);
  bool lasts(const fault_choice& which) const;
  void refuse_if_it_lasts(const fault_choice& which, const std::string& text) const;
  void require_running(const fault& what);
  void begin_one(const fault& what, fault_result& into);
  void end_one(const fault& what);
  void freeze(const fault& what, bool on);
  void kill(const fault& what, fault_result& into);
  void start_again(const fault& what);
  void start_node_again(node& which);
  void stop(const fault& what);
  void promote(const fault& what, fault_result& into);
  void rebuild(const fault& what, fault_result& into);
  void note_parts();

  const playground_options options_;
  std::function<void()> checkpoint_;
  playground_state state_;
  std::string secret_;
  std::optional<loopback_block> block_;
  std::optional<region_lines> lines_;
  std::optional<region_databases> databases_;
  std::optional<dns_server> dns_;
  std::vector<variables> certificates_; // of each region, where there is TLS
  std::vector<node> nodes_;             // as the regions
  std::vector<std::string> silent_;
  std::vector<fault> faults_; // that last
  std::optional<control_door> door_;
};

} // namespace fly::local
