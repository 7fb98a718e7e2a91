#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <caf/error.hpp>

#include "fly/cluster/board.hpp"
#include "fly/cluster/discovery.hpp"
#include "fly/cluster/doorbell.hpp"
#include "fly/cluster/listeners.hpp"
#include "fly/cluster/member.hpp"
#include "fly/cluster/mesh.hpp"
#include "fly/cluster/options.hpp"
#include "tests/simulation/network.hpp"
#include "tests/simulation/schedule.hpp"

namespace caf {
class actor_system;
}

namespace fly::cluster {

/// What stands behind the face `node` in a simulation, in the place of the part of the same name:
/// the mesh on the simulated network, and the questions to the simulated name server. Runs on the
/// machine whose task makes it.
class node_core final : public transport {
public:
  explicit node_core(options settings);
  ~node_core() override;

  node_core(const node_core&) = delete;
  node_core& operator=(const node_core&) = delete;

  caf::error join();
  void leave();

  const options& settings() const noexcept { return settings_; }
  const member& self() const noexcept { return self_; }
  std::shared_ptr<const snapshot> read() const { return board_.read(); }
  listeners& heard_by() noexcept { return listeners_; }
  doorbell& bell() noexcept { return *bell_; }
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

  member open() const;
  snapshot first_snapshot() const;
  mesh_options links_setup() const;
  void add(link_id link, std::shared_ptr<simulation::socket> fresh);
  void tell_time();
  void tick();
  void ask_names();
  void on_wake();
  void later(simulation::moment local_delay, void (node_core::*what)());

  simulation::machine& host_;
  const options settings_;
  const member self_;
  board board_;
  listeners listeners_;
  std::shared_ptr<doorbell> bell_;
  discovery discovery_;
  std::optional<mesh> mesh_; // from `join` on
  std::map<link_id, connection> sockets_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0); // what is planned looks at it
};

} // namespace fly::cluster
