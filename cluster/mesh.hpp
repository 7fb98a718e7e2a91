#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <caf/error.hpp>

#include "fly/cluster/board.hpp"
#include "fly/cluster/channel.hpp"
#include "fly/cluster/doorbell.hpp"
#include "fly/cluster/handshake.hpp"
#include "fly/cluster/handshake_pace.hpp"
#include "fly/cluster/listeners.hpp"
#include "fly/cluster/log.hpp"
#include "fly/cluster/membership.hpp"
#include "fly/cluster/primary.hpp"
#include "fly/cluster/tls_filter.hpp"
#include "fly/cluster/warning_limit.hpp"

namespace fly::cluster {

/// Moves the bytes of a mesh. All functions are called on the mesh's thread and return at once.
class transport {
public:
  virtual ~transport() = default;

  /// Starts to connect to `address`, "127.0.0.2:4370"; what is written meanwhile is sent once it is
  /// up. A failure is returned, or told later by `mesh::on_closed`.
  virtual caf::error dial(link_id link, const std::string& address) = 0;

  /// Sends `bytes`.
  virtual void write(link_id link, std::span<const char> bytes) = 0;

  /// Connects the channel of `link`: gives it a line, where there is one, and keeps its `in_flight`
  /// true from now on.
  virtual void attach(link_id link, const std::shared_ptr<channel>& up) = 0;

  /// Sends what waits in `from`.
  virtual void drain(link_id link, const std::shared_ptr<channel>& from) = 0;

  /// Sends what was written, then closes. Nothing more is told of the link.
  virtual void close(link_id link) = 0;

  // Where others than the mesh can read a link, too; the default is a transport without that.

  /// Reads no more of `link`: what has been read is told of, and then `mesh::on_paused`. Does
  /// nothing where it cannot at the moment.
  virtual void pause_reading(link_id link) { (void)link; }

  /// Returns where others can read `link`, which is paused; `mesh::on_unread` is told when
  /// something has come that they leave. Null where there is no such place.
  virtual std::unique_ptr<inlet> open_inlet(link_id link) {
    (void)link;
    return nullptr;
  }

  /// Reads `link` again.
  virtual void resume_reading(link_id link) { (void)link; }
};

/// What a mesh needs to know.
struct mesh_options {
  identity who{};
  membership_options membership{}; // its `self` is `who.self`
  channel_limits limits{};
  std::string primary_label{};
  log_sink log{};
  /// Encrypts every link; null for none.
  std::shared_ptr<const tls_context> tls{};
};

/// All links of one node: frames, handshakes, membership and who is primary. Knows neither sockets
/// nor actors: bytes and times come in, bytes go out through a `transport`. Only on one thread, the
/// I/O thread.
class mesh {
public:
  using time_point = membership::time_point;
  using wall_time = membership::wall_time;

  /// `out`, `pinned`, `heard_by` and `bell` outlive the mesh.
  mesh(mesh_options options, transport& out, board& pinned, listeners& heard_by,
       std::shared_ptr<doorbell> bell, time_point now, wall_time wall);

  /// Takes a connection that somebody at `remote` has dialled to us, and names it.
  link_id on_accepted(std::string remote);

  /// Takes bytes that came on `link`.
  void on_bytes(link_id link, std::span<const std::byte> bytes);

  /// Returns how many frames have come so far.
  std::uint64_t frames_read() const noexcept { return frames_read_; }

  /// Says whether what is sent in answer to one read leaves in pieces, so that the other end can
  /// begin with the first while the next is made; else it leaves together.
  void send_in_pieces(bool really) noexcept { in_pieces_ = really; }

  /// Returns when `take_turn` is due for strangers that wait within the handshake of TLS; max()
  /// where none does.
  time_point turn_at() const;

  /// Goes on with the handshake of the stranger that has waited longest.
  void take_turn();

  /// Says that `link` is not read any more; its callers may do so now.
  void on_paused(link_id link);

  /// Says that there is something on `link` that no caller has read.
  void on_unread(link_id link);

  /// Says that `link` was closed by the other side or by a failure; errc::no_such_member where a
  /// dial reached nobody.
  void on_closed(link_id link, const caf::error& reason);

  /// Lets the time pass; the other events happen at the time of the last tick or `set_time`.
  void tick(time_point now, wall_time wall);

  /// Tells the time for the events that follow.
  void set_time(time_point now, wall_time wall);

  /// Sends what waits in the channel of `link`, and deals with what its readers want.
  void drain(link_id link);

  /// Takes the addresses that discovery has found.
  void on_addresses(std::vector<std::string> addresses);

  void set_claim(claim database);
  void set_services(std::string services);
  void set_load(std::uint32_t load);

  /// Encrypts the links that begin from now on with `trusted`; those that are there stay.
  void set_tls(std::shared_ptr<const tls_context> trusted);

  /// Says goodbye on every link and closes it. Nothing comes up any more.
  void leave();

  /// Returns whether `leave` was called.
  bool has_left() const noexcept { return leaving_; }

  /// Returns the number of connections.
  std::size_t size() const noexcept { return connections_.size(); }

private:
  struct connection {
    handshake talk;
    frame_parser parser;
    std::string remote{};              // for the log: the address dialled, or the stranger's
    bool accepted = false;             // they dialled
    std::shared_ptr<channel> up;       // null during the handshake
    std::shared_ptr<tls_filter> tls{}; // shared with `up`; null where the link is not encrypted
    std::vector<std::byte> unread{};   // of a stranger whose turn has yet to come
    bool greeted = false;              // the handshake, within TLS or without, has begun
    bool heard = false;                // bytes have come; told of plain links alone
    bool services_due = false;         // the newest could not be sent yet
    bool closed = false;
  };
  using connection_ptr = std::shared_ptr<connection>;

  connection_ptr add(link_id link, handshake::side side, std::string remote);
  connection_ptr find(link_id link) const;
  void on_strange_bytes(link_id link, connection& from, std::span<const std::byte> bytes);
  void shake(link_id link, connection& from, std::span<const std::byte> bytes);
  void take(link_id link, connection& from, std::span<const std::byte> bytes);
  void take_plain(link_id link, connection& from, std::span<const std::byte> bytes,
                  const caf::error& broken);
  void take_left(link_id link, connection& from, std::optional<reading_loan::rest> left);
  void take_back_late();
  void greet(link_id link, connection& to);
  caf::error decrypt(link_id link, connection& from, std::span<const std::byte>& bytes);
  caf::error check_plain(connection& from, std::span<const std::byte> bytes) const;
  bool may_be_peer(link_id link, connection& from);
  void on_frame(link_id link, connection& from, const frame& received);
  void on_handshake(link_id link, connection& from, const frame& received);
  void on_member_frame(link_id link, connection& from, const frame& received);
  void on_peer_known(link_id link, connection& from);
  void on_proved(link_id link, connection& from);
  void on_own(link_id link, connection& from);
  void write(link_id link, connection& to, std::span<const char> bytes);
  std::shared_ptr<channel> read(link_id link, connection& from);
  void send_piece(link_id link, const std::shared_ptr<channel>& held);
  void bring_up(link_id link, connection& what, std::vector<char> last_word);
  void give_up(link_id link, const caf::error& reason);
  void drop(link_id link, const caf::error& reason);
  void perform(membership_actions todo);
  void send_beat(link_id link);
  void send_beats();
  void send_services(connection& to);
  void publish(bool changed);
  void log_handshake(const connection& what, const caf::error& reason);
  void warn(const std::string& text);
  void warn_of_certificate();

  mesh_options options_;
  std::shared_ptr<const identity> identity_;
  transport& out_;
  board& board_;
  listeners& listeners_;
  std::shared_ptr<doorbell> bell_;
  membership membership_;
  primary primary_;
  std::map<link_id, connection_ptr> connections_;
  std::deque<link_id> waiting_; // strangers with something unread, and some that have gone since
  handshake_pace pace_;
  warning_limit warned_;
  time_point now_;
  wall_time wall_;
  wall_time certificate_due_{}; // when the end of the own certificate is looked at
  bool stale_board_ = false;    // positions have changed since the last publish
  bool leaving_ = false;
  bool in_pieces_ = false;
  std::uint64_t frames_read_ = 0;
  std::vector<char> plain_; // scratch of `decrypt`
};

} // namespace fly::cluster
