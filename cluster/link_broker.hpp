#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "fly/cluster/board.hpp"
#include "fly/cluster/doorbell.hpp"
#include "fly/cluster/listeners.hpp"
#include "fly/cluster/mesh.hpp"
#include "fly/cluster/tcp.hpp"

namespace caf {
class actor_system;
}

namespace fly::cluster {

/// What the broker of a node starts with.
struct link_broker_setup {
  mesh_options mesh;
  /// The listening socket; none for an observer.
  socket_owner listening{};
  /// The host that connections leave from, as `start_connect` has it.
  std::string source{};
  /// How long the I/O thread looks for more work before it sleeps; 0 for not at all.
  std::chrono::microseconds busy_poll{};
  /// Where the node reads; both outlive the broker.
  board* pinned = nullptr;
  listeners* heard_by = nullptr;
  std::shared_ptr<doorbell> bell;
};

/// Spawns the CAF broker that owns all sockets of a node and feeds its mesh with bytes and time.
/// One broker for all links, not one each: sockets and membership then share a thread, and which of
/// two connections stays is decided in one place, with nothing in flight. It ends after
/// `mesh::leave` (post it to the bell), once what was written is sent or 300 ms have passed;
/// `on_end` is then called, on any thread. The system has a middleman.
void start_link_broker(caf::actor_system& system, link_broker_setup setup,
                       std::function<void()> on_end);

} // namespace fly::cluster
