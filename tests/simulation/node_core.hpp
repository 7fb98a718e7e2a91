#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <caf/error.hpp>

#include "fly/cluster/discovery.hpp"
#include "fly/cluster/node_state.hpp"
#include "tests/simulation/network.hpp"
#include "tests/simulation/schedule.hpp"

namespace caf {
class actor_system;
}

namespace fly::cluster {

/// What stands behind the face `node` in a simulation, in the place of the part of the same name:
/// the mesh on the simulated network, and the questions to the simulated name server. Runs on the
/// machine whose task makes it.
class node_core final : public node_state, public transport {
public:
  explicit node_core(const options& settings);
  ~node_core() override;

  caf::error join();
  void leave();

  std::size_t links() const noexcept { return sockets_.size(); }

  // -- transport
  caf::error dial(link_id link, const std::string& address) override;
  void write(link_id link, std::span<const char> bytes) override;
  void attach(link_id link, const std::shared_ptr<channel>& up) override;
  void drain(link_id link, const std::shared_ptr<channel>& from) override;
  void close(link_id link) override;

private:
  struct connection {
    std::shared_ptr<simulation::socket> socket;
    std::shared_ptr<channel> up; // null during the handshake
    std::size_t unsent = 0;
  };

  void add(link_id link, std::shared_ptr<simulation::socket> fresh);
  void tell_time();
  void tick();
  void ask_names();
  void on_wake();
  void later(simulation::moment local_delay, void (node_core::*what)());

  simulation::machine& host_;
  discovery discovery_;
  std::optional<mesh> mesh_; // from `join` on
  std::map<link_id, connection> sockets_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0); // what is planned looks at it
};

} // namespace fly::cluster
