#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>

#include <caf/error.hpp>

#include "fly/cluster/board.hpp"
#include "fly/cluster/discovery_thread.hpp"
#include "fly/cluster/doorbell.hpp"
#include "fly/cluster/link_broker.hpp"
#include "fly/cluster/listeners.hpp"
#include "fly/cluster/member.hpp"
#include "fly/cluster/options.hpp"
#include "fly/cluster/tcp.hpp"

namespace caf {
class actor_system;
}

namespace fly::cluster {

/// What stands behind the face `node`: the actor system, the socket, the broker, the discovery
/// thread, and their start and end. A resource. The public members are safe from any thread.
class node_core {
public:
  /// `lent` is null for a system of the node's own.
  node_core(caf::actor_system* lent, options settings);

  /// Leaves.
  ~node_core();

  node_core(const node_core&) = delete;
  node_core& operator=(const node_core&) = delete;

  /// As `node::join`.
  caf::error join();

  /// As `node::leave`.
  void leave();

  /// As `node::reload_tls`.
  caf::error reload_tls();

  const options& settings() const noexcept { return settings_; }
  caf::actor_system& system() const noexcept { return *system_; }
  const member& self() const noexcept { return self_; }
  std::shared_ptr<const snapshot> read() const { return board_.read(); }
  listeners& heard_by() noexcept { return listeners_; }
  doorbell& bell() noexcept { return *bell_; }

private:
  struct own_system;

  member open();
  caf::error try_open();
  snapshot first_snapshot() const;
  link_broker_setup broker_setup();
  discovery_thread::setup discovery_setup();
  void on_broker_end();

  const options settings_;
  std::unique_ptr<own_system> own_; // before all that runs on it
  caf::actor_system* system_;
  socket_owner listening_; // bound, until the broker has it
  caf::error open_error_;
  const member self_;
  board board_;
  listeners listeners_;
  std::shared_ptr<doorbell> bell_;
  std::mutex join_mutex_;
  bool joined_ = false;                       // guarded by join_mutex_
  bool left_ = false;                         // guarded by join_mutex_
  std::optional<discovery_thread> discovery_; // guarded by join_mutex_
  std::mutex ended_mutex_;
  std::condition_variable ended_changed_;
  bool ended_ = false; // guarded by ended_mutex_: the broker is gone
};

} // namespace fly::cluster
