#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>

#include <caf/atom.hpp>
#include <caf/io/broker.hpp>

#include "fly/actors/what_of.hpp"
#include "fly/cluster/busy_poll.hpp"
#include "fly/cluster/front_door.hpp"
#include "fly/cluster/lent_sockets.hpp"
#include "fly/cluster/link_broker.hpp"
#include "fly/cluster/scribes.hpp"

namespace fly::cluster {

using tick_atom = caf::atom_constant<caf::atom("flyTick")>;
using wake_atom = caf::atom_constant<caf::atom("flyWake")>;
using turn_atom = caf::atom_constant<caf::atom("flyTurn")>;

/// The sockets of one node: events of its broker to the mesh, and bytes of the mesh to CAF or, for
/// a channel that is up, straight into the socket. Lives in the broker's behavior; only on the I/O
/// thread.
class socket_io final : public transport, public std::enable_shared_from_this<socket_io> {
public:
  socket_io(caf::io::broker* self, link_broker_setup setup);

  // -- events of the broker
  void start();
  /// Says that the I/O loop has taken a turn since the start.
  void settle() { settled_ = true; }
  void on_tick();
  void on_wake();
  void on_turn();
  void on_connection(caf::io::connection_handle handle);
  void on_bytes(caf::io::connection_handle handle, std::span<const std::byte> bytes);
  void on_transferred(const caf::io::data_transferred_msg& done);
  void on_closed(caf::io::connection_handle handle);
  /// Runs `what`; an exception (no memory, no random bytes) must not end the I/O thread.
  template <class F>
  void guarded(F what) {
    try {
      what();
    } catch (...) {
      log_(log_level::error, "goes on after: " + actors::what_of_thrown());
    }
  }

  // -- transport
  caf::error dial(link_id link, const std::string& address) override;
  void write(link_id link, std::span<const char> bytes) override;
  void attach(link_id link, const std::shared_ptr<channel>& up) override;
  void drain(link_id link, const std::shared_ptr<channel>& from) override;
  void close(link_id link) override;
  void pause_reading(link_id link) override;
  std::unique_ptr<inlet> open_inlet(link_id link) override;
  void resume_reading(link_id link) override;

private:
  /// Whether CAF reads: a change takes until the next turn of its loop.
  enum class reading_state : std::uint8_t { going, pausing, paused, resuming };

  struct open_socket {
    link_id link = 0;
    reading_state reading = reading_state::going;
    std::shared_ptr<channel> from; // whose bytes are in flight; null during the handshake
    bool reaching = false;         // dialled, and the kernel has taken nothing yet
    std::size_t unsent = 0;        // bytes given to CAF that the kernel has not taken yet
    bool closing = false;          // the mesh has closed the link; the rest is still being sent
    bool shut = false;
    mesh::time_point deadline{};
  };

  caf::io::network::multiplexer& backend();
  void tick_after(std::chrono::milliseconds delay);
  void ask_for_turn();
  void tell_time();
  void add(link_id link, caf::io::connection_handle handle);
  void shut(caf::io::connection_handle handle, open_socket& socket);
  template <class F>
  void in_next_turn(caf::io::connection_handle handle, F what);
  void resume(caf::io::connection_handle handle, open_socket& socket);
  void on_unread(link_id link);
  void leave();

  caf::io::broker* self_;
  const std::string source_; // dials from here, where it can choose
  std::shared_ptr<doorbell> bell_;
  log_sink log_;
  std::chrono::milliseconds tick_every_;
  std::shared_ptr<const bytes_reader> reader_; // calls on_bytes
  std::shared_ptr<front_door> door_;
  std::unordered_map<caf::io::connection_handle, open_socket> sockets_;
  std::unordered_map<link_id, caf::io::connection_handle> handles_; // of those not closing
  bool settled_ = false;
  std::optional<lent_sockets> lent_;   // until it leaves
  std::optional<busy_poll> busy_poll_; // until it leaves
  bool turn_asked_ = false;            // `on_turn` will be called
  bool left_ = false;
  mesh::time_point leave_deadline_{};
  mesh mesh_; // last: it calls back into the others
};

} // namespace fly::cluster
