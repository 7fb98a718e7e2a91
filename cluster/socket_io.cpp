#include "fly/cluster/socket_io.hpp"

#include <algorithm>
#include <utility>

#include <sys/socket.h>

#include <caf/actor_addr.hpp>
#include <caf/actor_cast.hpp>
#include <caf/actor_system.hpp>
#include <caf/io/doorman.hpp>
#include <caf/io/middleman.hpp>
#include <caf/io/scribe.hpp>
#include <caf/send.hpp>

#include "fly/actors/error.hpp"
#include "fly/cluster/line.hpp"
#include "fly/cluster/tcp.hpp"

namespace fly::cluster {

namespace {

using namespace std::chrono_literals;
using caf::io::connection_handle;

/// The buffer of a stranger, of whom there may be many, and of a member.
constexpr std::size_t stranger_bytes = 4 * 1024;
constexpr std::size_t member_bytes = 72 * 1024;

/// How long a closed link may take to send what was written.
constexpr auto linger = 1000ms;
constexpr auto leave_linger = 300ms;
constexpr auto leave_tick = 3ms;

mesh::time_point now() {
  return std::chrono::steady_clock::now();
}

/// A handle's number is its descriptor (CAF 0.17.6).
int descriptor_of(connection_handle handle) {
  return static_cast<int>(handle.id());
}

} // namespace

socket_io::socket_io(caf::io::broker* self, link_broker_setup setup)
    : self_(self), source_(std::move(setup.source)), bell_(setup.bell), log_(setup.mesh.log),
      tick_every_(std::clamp(setup.mesh.membership.heartbeat / 4, 1ms, 250ms)),
      door_(std::make_shared<front_door>(self, setup.mesh.log)),
      lent_(std::in_place, backend(), [this](link_id link) { on_unread(link); }),
      busy_poll_(std::in_place, backend(), setup.busy_poll),
      mesh_(std::move(setup.mesh), *this, *setup.pinned, *setup.heard_by, setup.bell, now(),
            std::chrono::system_clock::now()) {
  reader_ = std::make_shared<const bytes_reader>(
      [this](auto handle, auto bytes) { guarded([&] { on_bytes(handle, bytes); }); });
  if (setup.listening.descriptor() >= 0)
    door_->open(std::move(setup.listening), reader_);
}

caf::io::network::multiplexer& socket_io::backend() {
  return self_->system().middleman().backend();
}

void socket_io::start() {
  auto whom = self_->address(); // weak: the bell must not keep the broker
  bell_->connect([whom] {
    if (auto broker = caf::actor_cast<caf::strong_actor_ptr>(whom))
      broker->enqueue(nullptr, caf::make_message_id(), caf::make_message(wake_atom::value),
                      nullptr);
  });
  on_wake(); // what was announced before holds before the first link is up
  tick_after(1ms);
}

void socket_io::on_tick() {
  guarded([&] { mesh_.tick(now(), std::chrono::system_clock::now()); });
  door_->on_tick(now());
  for (auto& [handle, socket] : sockets_)
    if (socket.closing && now() >= socket.deadline)
      shut(handle, socket);
  if (left_)
    leave();
  else
    tick_after(tick_every_);
}

/// One that throws must not take the others with it, nor the ticks.
void socket_io::on_wake() {
  tell_time();
  auto [tasks, links] = bell_->take();
  for (auto& task : tasks)
    guarded([&] { task(mesh_); });
  for (auto link : links)
    guarded([&] { mesh_.drain(link); });
  if (!mesh_.has_left() || std::exchange(left_, true))
    return;
  leave_deadline_ = now() + leave_linger;
  tick_after(leave_tick);
}

void socket_io::on_turn() {
  turn_asked_ = false;
  tell_time();
  guarded([&] { mesh_.take_turn(); });
  ask_for_turn();
}

void socket_io::on_connection(connection_handle handle) {
  tell_time();
  if (left_) {
    self_->close(handle); // never read from, so CAF does not know its descriptor yet
    return;
  }
  auto remote = to_string(socket_address{self_->remote_addr(handle), self_->remote_port(handle)});
  auto link = mesh_.on_accepted(std::move(remote));
  add(link, handle);
}

void socket_io::on_bytes(connection_handle handle, std::span<const std::byte> bytes) {
  auto found = sockets_.find(handle);
  if (found == sockets_.end() || found->second.closing)
    return;
  tell_time();
  auto before = mesh_.frames_read();
  mesh_.send_in_pieces(busy_poll_ && busy_poll_->is_tried());
  mesh_.on_bytes(found->second.link, bytes);
  if (busy_poll_)
    busy_poll_->on_read(mesh_.frames_read() - before);
  ask_for_turn();
}

void socket_io::on_transferred(const caf::io::data_transferred_msg& done) {
  auto found = sockets_.find(done.handle);
  if (found == sockets_.end())
    return;
  auto& socket = found->second;
  socket.unsent = static_cast<std::size_t>(done.remaining);
  socket.reaching = false;
  if (socket.from)
    socket.from->in_flight(socket.unsent);
  if (socket.closing && socket.unsent == 0)
    shut(done.handle, socket);
}

void socket_io::on_closed(connection_handle handle) {
  auto found = sockets_.find(handle);
  if (found == sockets_.end())
    return;
  auto socket = std::move(found->second);
  sockets_.erase(found);
  if (socket.closing)
    return;
  tell_time();
  handles_.erase(socket.link);
  mesh_.on_closed(socket.link,
                  socket.reaching
                      ? make_error(errc::no_such_member, "nobody was reached")
                      : make_error(errc::member_lost, "the other side closed the connection"));
}

caf::error socket_io::dial(link_id link, const std::string& address) {
  auto where = parse_socket_address(address, 0);
  if (!where)
    return where.error();
  auto socket = start_connect(*where, source_);
  if (!socket)
    return socket.error();
  auto scribe = make_scribe(backend(), socket->release(), reader_);
  auto handle = scribe->hdl();
  self_->add_scribe(std::move(scribe));
  add(link, handle);
  sockets_.at(handle).reaching = true;
  return {};
}

void socket_io::write(link_id link, std::span<const char> bytes) {
  auto found = handles_.find(link);
  if (found == handles_.end())
    return;
  self_->write(found->second, bytes.size(), bytes.data());
  sockets_.at(found->second).unsent += bytes.size();
  self_->flush(found->second);
}

void socket_io::attach(link_id link, const std::shared_ptr<channel>& up) {
  auto found = handles_.find(link);
  if (found == handles_.end())
    return;
  auto& socket = sockets_.at(found->second);
  socket.from = up;
  self_->configure_read(found->second, caf::io::receive_policy::at_most(member_bytes));
  up->connect(line_into(descriptor_of(found->second)), socket.unsent);
}

void socket_io::drain(link_id link, const std::shared_ptr<channel>& from) {
  auto found = handles_.find(link);
  if (found == handles_.end() || !from->flush())
    return;
  auto& socket = sockets_.at(found->second);
  auto& buffer = self_->wr_buf(found->second);
  auto before = buffer.size();
  from->take(buffer);
  socket.unsent += buffer.size() - before;
  self_->flush(found->second);
}

void socket_io::close(link_id link) {
  auto found = handles_.find(link);
  if (found == handles_.end())
    return;
  auto handle = found->second;
  handles_.erase(found);
  auto& socket = sockets_.at(handle);
  socket.closing = true;
  socket.deadline = now() + linger;
  resume(handle, socket); // CAF hears of the end where it reads
  socket.from = nullptr;
  if (socket.unsent == 0)
    shut(handle, socket);
}

/// Without a sender: a broker that has ended never clears its mailbox (CAF 0.17.6), and a message
/// from itself would keep it for ever.
void socket_io::tick_after(std::chrono::milliseconds delay) {
  caf::delayed_anon_send(caf::actor_cast<caf::actor>(self_), delay, tick_atom::value);
}

void socket_io::ask_for_turn() {
  auto at = mesh_.turn_at();
  if (turn_asked_ || at == mesh::time_point::max())
    return;
  turn_asked_ = true;
  auto delay = std::max(at - now(), mesh::time_point::duration{0});
  caf::delayed_anon_send(caf::actor_cast<caf::actor>(self_), delay, turn_atom::value);
}

void socket_io::tell_time() {
  mesh_.set_time(now(), std::chrono::system_clock::now());
}

void socket_io::add(link_id link, connection_handle handle) {
  sockets_[handle].link = link;
  handles_[link] = handle;
  self_->ack_writes(handle, true);
  self_->configure_read(handle, caf::io::receive_policy::at_most(stranger_bytes));
}

/// Ends the connection; `on_closed` follows. Not CAF's close(): that keeps descriptor and memory
/// until the peer has taken what is unsent, which a frozen one never does, and for ever where the
/// socket was opened in the same turn of the I/O loop (0.17.6).
void socket_io::shut(connection_handle handle, open_socket& socket) {
  if (!std::exchange(socket.shut, true))
    ::shutdown(descriptor_of(handle), SHUT_RDWR);
}

/// Goes on leaving, a tick at a time, until nothing is open any more.
void socket_io::leave() {
  // Opened and closed in one turn of the I/O loop a doorman is never freed (CAF 0.17.6).
  bool closed = settled_ && door_->close();
  if (now() >= leave_deadline_)
    for (auto& [handle, socket] : sockets_)
      shut(handle, socket);
  bool overdue = now() >= leave_deadline_ + linger;
  if (!closed || (!sockets_.empty() && !overdue)) {
    tick_after(leave_tick);
    return;
  }
  bell_->close();
  busy_poll_.reset(); // CAF's loop ends once it has nothing to watch
  lent_.reset();
  self_->quit();
}

} // namespace fly::cluster
