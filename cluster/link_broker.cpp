#include "fly/cluster/link_broker.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include <sys/socket.h>

#include <caf/actor_addr.hpp>
#include <caf/actor_cast.hpp>
#include <caf/actor_system.hpp>
#include <caf/behavior.hpp>
#include <caf/io/broker.hpp>
#include <caf/io/middleman.hpp>
#include <caf/send.hpp>

#include "fly/actors/error.hpp"

namespace fly::cluster {

namespace {

using namespace std::chrono_literals;
using caf::io::connection_handle;

using tick_atom = caf::atom_constant<caf::atom("flyTick")>;
using wake_atom = caf::atom_constant<caf::atom("flyWake")>;

/// CAF clears the whole buffer before each read: large ones only pay within a large frame.
constexpr std::size_t read_bytes_small = 4 * 1024;
constexpr std::size_t read_bytes_large = 72 * 1024;

/// How long a closed link may take to send what was written.
constexpr auto linger = 1000ms;
constexpr auto leave_linger = 300ms;
constexpr auto leave_tick = 3ms;

/// The sockets of one node. Lives in its broker's behavior; only on the I/O thread.
class socket_io final : public transport {
public:
  socket_io(caf::io::broker* self, link_broker_setup setup)
      : self_(self), bell_(setup.bell), log_(setup.mesh.log),
        tick_every_(std::clamp(setup.mesh.membership.heartbeat / 4, 1ms, 250ms)),
        mesh_(std::move(setup.mesh), *this, *setup.pinned, *setup.heard_by, setup.bell, now(),
              std::chrono::system_clock::now()) {
    if (setup.listening.descriptor() >= 0)
      doorman_ = self_->add_doorman(setup.listening.release());
  }

  // -- events of the broker ----------------------------------------------------------------------

  void start() {
    auto whom = self_->address(); // weak: the bell must not keep the broker
    bell_->connect([whom] {
      if (auto broker = caf::actor_cast<caf::strong_actor_ptr>(whom))
        broker->enqueue(nullptr, caf::make_message_id(), caf::make_message(wake_atom::value),
                        nullptr);
    });
    on_wake(); // what was announced before holds before the first link is up
    tick_after(1ms);
  }

  void settle() { settled_ = true; }

  void on_tick() {
    mesh_.tick(now(), std::chrono::system_clock::now());
    for (auto& [handle, socket] : sockets_)
      if (socket.closing && now() >= socket.deadline)
        shut(handle, socket);
    if (left_)
      leave();
    else
      tick_after(tick_every_);
  }

  void on_wake() {
    tell_time();
    auto [tasks, links] = bell_->take();
    for (auto& task : tasks)
      task(mesh_);
    for (auto link : links)
      mesh_.drain(link);
    if (!mesh_.has_left() || std::exchange(left_, true))
      return;
    leave_deadline_ = now() + leave_linger;
    tick_after(leave_tick);
  }

  void on_connection(connection_handle handle) {
    tell_time();
    if (left_) {
      self_->close(handle); // never read from, so CAF does not know its descriptor yet
      return;
    }
    auto remote = to_string(socket_address{self_->remote_addr(handle), self_->remote_port(handle)});
    auto link = mesh_.on_accepted(std::move(remote));
    add(link, handle);
  }

  void on_data(const caf::io::new_data_msg& data) {
    auto found = sockets_.find(data.handle);
    if (found == sockets_.end() || found->second.closing)
      return;
    tell_time();
    auto missing = mesh_.on_bytes(found->second.link, std::as_bytes(std::span{data.buf}));
    auto wanted = missing > read_bytes_small ? read_bytes_large : read_bytes_small;
    found = sockets_.find(data.handle); // the mesh may have closed it
    if (found == sockets_.end() || found->second.read_bytes == wanted)
      return;
    found->second.read_bytes = wanted;
    self_->configure_read(data.handle, caf::io::receive_policy::at_most(wanted));
  }

  void on_transferred(const caf::io::data_transferred_msg& done) {
    auto found = sockets_.find(done.handle);
    if (found == sockets_.end())
      return;
    auto& socket = found->second;
    socket.unsent = static_cast<std::size_t>(done.remaining);
    if (socket.from)
      socket.from->in_flight(socket.unsent);
    if (socket.closing && socket.unsent == 0)
      shut(done.handle, socket);
  }

  void on_closed(connection_handle handle) {
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
                    make_error(errc::member_lost, "the other side closed the connection"));
  }

  void log_thrown(const char* what) {
    log_(log_level::error, std::string{"goes on after: "} + what);
  }

  // -- transport ---------------------------------------------------------------------------------

  caf::error dial(link_id link, const std::string& address) override {
    auto where = parse_socket_address(address, 0);
    if (!where)
      return where.error();
    auto socket = start_connect(*where);
    if (!socket)
      return socket.error();
    add(link, self_->add_scribe(socket->release()));
    return {};
  }

  void write(link_id link, std::span<const char> bytes) override {
    auto found = handles_.find(link);
    if (found == handles_.end())
      return;
    self_->write(found->second, bytes.size(), bytes.data());
    sockets_.at(found->second).unsent += bytes.size();
    self_->flush(found->second);
  }

  void drain(link_id link, const std::shared_ptr<channel>& from) override {
    auto found = handles_.find(link);
    if (found == handles_.end())
      return;
    auto& socket = sockets_.at(found->second);
    auto& buffer = self_->wr_buf(found->second);
    auto before = buffer.size();
    socket.from = from;
    from->take(buffer);
    socket.unsent += buffer.size() - before;
    self_->flush(found->second);
  }

  void close(link_id link) override {
    auto found = handles_.find(link);
    if (found == handles_.end())
      return;
    auto handle = found->second;
    handles_.erase(found);
    auto& socket = sockets_.at(handle);
    socket.closing = true;
    socket.deadline = now() + linger;
    socket.from = nullptr;
    if (socket.unsent == 0)
      shut(handle, socket);
  }

private:
  struct open_socket {
    link_id link = 0;
    std::shared_ptr<channel> from; // whose bytes are in flight; null during the handshake
    std::size_t unsent = 0;        // bytes that the kernel has not taken yet
    std::size_t read_bytes = read_bytes_small;
    bool closing = false; // the mesh has closed the link; the rest is still being sent
    bool shut = false;
    mesh::time_point deadline{};
  };

  static mesh::time_point now() { return std::chrono::steady_clock::now(); }

  /// Without a sender: a broker that has ended never clears its mailbox (CAF 0.17.6), and a message
  /// from itself would keep it for ever.
  void tick_after(std::chrono::milliseconds delay) {
    caf::delayed_anon_send(caf::actor_cast<caf::actor>(self_), delay, tick_atom::value);
  }

  void tell_time() { mesh_.set_time(now(), std::chrono::system_clock::now()); }

  void add(link_id link, connection_handle handle) {
    sockets_[handle].link = link;
    handles_[link] = handle;
    self_->ack_writes(handle, true);
    self_->configure_read(handle, caf::io::receive_policy::at_most(read_bytes_small));
  }

  /// Ends the connection; `on_closed` follows. Not CAF's close(): that keeps descriptor and memory
  /// until the peer has taken what is unsent, which a frozen one never does, and for ever where the
  /// socket was opened in the same turn of the I/O loop (0.17.6). A handle's number is its
  /// descriptor.
  void shut(connection_handle handle, open_socket& socket) {
    if (!std::exchange(socket.shut, true))
      ::shutdown(static_cast<int>(handle.id()), SHUT_RDWR);
  }

  /// Goes on leaving, a tick at a time, until nothing is open any more.
  void leave() {
    // Opened and closed in one turn of the I/O loop a doorman is never freed (CAF 0.17.6).
    if (settled_ && doorman_ != caf::io::accept_handle{})
      self_->close(std::exchange(doorman_, {}));
    if (now() >= leave_deadline_)
      for (auto& [handle, socket] : sockets_)
        shut(handle, socket);
    bool overdue = now() >= leave_deadline_ + linger;
    if (!settled_ || (!sockets_.empty() && !overdue)) {
      tick_after(leave_tick);
      return;
    }
    bell_->close();
    self_->quit();
  }

  caf::io::broker* self_;
  std::shared_ptr<doorbell> bell_;
  log_sink log_;
  std::chrono::milliseconds tick_every_;
  caf::io::accept_handle doorman_;
  std::unordered_map<connection_handle, open_socket> sockets_;
  std::unordered_map<link_id, connection_handle> handles_; // of those that are not closing
  bool settled_ = false; // the I/O loop has taken a turn since the start
  bool left_ = false;
  mesh::time_point leave_deadline_{};
  mesh mesh_; // last: it calls back into the others
};

/// Runs `what`; an exception (no memory, no random bytes) must not end the broker.
template <class Function>
void guarded(socket_io& io, Function what) {
  try {
    what();
  } catch (const std::exception& thrown) {
    io.log_thrown(thrown.what());
  }
}

caf::behavior run_broker(caf::io::broker* self, std::shared_ptr<link_broker_setup> setup) {
  auto io = std::make_shared<socket_io>(self, std::move(*setup));
  guarded(*io, [&] { io->start(); });
  self->parent().run_later([io] { io->settle(); }); // in the next turn of the I/O loop
  return {
      [io](const caf::io::new_data_msg& data) { guarded(*io, [&] { io->on_data(data); }); },
      [io](const caf::io::data_transferred_msg& done) {
        guarded(*io, [&] { io->on_transferred(done); });
      },
      [io](const caf::io::new_connection_msg& fresh) {
        guarded(*io, [&] { io->on_connection(fresh.handle); });
      },
      [io](const caf::io::connection_closed_msg& gone) {
        guarded(*io, [&] { io->on_closed(gone.handle); });
      },
      [io](wake_atom) { guarded(*io, [&] { io->on_wake(); }); },
      [io](tick_atom) { guarded(*io, [&] { io->on_tick(); }); },
      [](const caf::io::acceptor_closed_msg&) {},
  };
}

} // namespace

void start_link_broker(caf::actor_system& system, link_broker_setup setup,
                       std::function<void()> on_end) {
  auto shared = std::make_shared<link_broker_setup>(std::move(setup));
  auto broker = system.middleman().spawn_broker(run_broker, shared);
  broker->attach_functor([on_end = std::move(on_end)](const caf::error&) { on_end(); });
}

} // namespace fly::cluster
