#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>

#include <caf/error.hpp>
#include <caf/expected.hpp>

#include "fly/cluster/discovery_thread.hpp"
#include "fly/cluster/link_broker.hpp"
#include "fly/cluster/node_state.hpp"
#include "fly/cluster/tcp.hpp"

namespace caf {
class actor_system;
}

namespace fly::cluster {

/// What carries a node: the actor system, the socket, the broker, the discovery thread, and their
/// start and end. A resource. The public members are safe from any thread.
class node_core : public node_state {
public:
  /// `lent` is null for a system of the node's own.
  node_core(caf::actor_system* lent, const options& settings);

  /// Leaves.
  ~node_core();

  /// As `node::join`.
  caf::error join();

  /// As `node::leave`.
  void leave();

  /// As `node::reload_tls`.
  caf::error reload_tls();

  /// As `node::certificate_end`.
  std::optional<std::chrono::system_clock::time_point> certificate_end() const;

  caf::actor_system& system() const noexcept { return *system_; }

private:
  struct own_system;

  /// Who the node is, and the socket that says where.
  struct opening {
    member self{};
    socket_owner listening{};
    caf::error problem{};
  };

  node_core(caf::actor_system* lent, const options& settings, opening begun);

  static opening open(const options& settings);
  caf::error start_discovery();
  caf::expected<std::shared_ptr<const tls_context>> load_tls();
  link_broker_setup broker_setup(std::shared_ptr<const tls_context> tls);
  discovery_thread::setup discovery_setup();
  void on_broker_end();

  std::unique_ptr<own_system> own_; // before all that runs on it
  caf::actor_system* system_;
  socket_owner listening_; // bound, until the broker has it
  caf::error open_error_;
  std::atomic<std::chrono::system_clock::time_point> certificate_end_{}; // the epoch: no TLS
  std::mutex join_mutex_;
  bool joined_ = false;                       // guarded by join_mutex_
  bool left_ = false;                         // guarded by join_mutex_
  std::optional<discovery_thread> discovery_; // guarded by join_mutex_
  std::mutex ended_mutex_;
  std::condition_variable ended_changed_;
  bool ended_ = false; // guarded by ended_mutex_: the broker is gone
};

} // namespace fly::cluster
