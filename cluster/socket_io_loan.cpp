// The second part of socket_io.hpp: links that callers read themselves.
#include <utility>

#include <caf/io/middleman.hpp>

#include "fly/cluster/socket_io.hpp"

namespace fly::cluster {

namespace {

/// A handle's number is its descriptor (CAF 0.17.6).
int descriptor_of(caf::io::connection_handle handle) {
  return static_cast<int>(handle.id());
}

} // namespace

// CAF 0.17.6 forgets a trigger in the turn of its loop that a halt was in, and the other way round;
// and it may have read before the halt what it tells of after it, in the same turn.

/// Calls `what(socket)` in the next turn of the I/O loop, unless the connection is gone then.
template <class F>
void socket_io::in_next_turn(caf::io::connection_handle handle, F what) {
  self_->parent().run_later(
      [weak = weak_from_this(), handle, link = sockets_.at(handle).link, what] {
        auto self = weak.lock();
        if (!self)
          return;
        auto found = self->sockets_.find(handle);
        if (found != self->sockets_.end() && found->second.link == link)
          self->guarded([&] { what(*self, found->second); });
      });
}

void socket_io::pause_reading(link_id link) {
  auto found = handles_.find(link);
  if (found == handles_.end() || sockets_.at(found->second).reading != reading_state::going)
    return;
  sockets_.at(found->second).reading = reading_state::pausing;
  self_->halt(found->second);
  in_next_turn(found->second, [](socket_io& self, open_socket& socket) {
    if (socket.reading != reading_state::pausing)
      return;
    socket.reading = reading_state::paused;
    self.tell_time();
    self.mesh_.on_paused(socket.link);
  });
}

std::unique_ptr<inlet> socket_io::open_inlet(link_id link) {
  auto found = handles_.find(link);
  if (found == handles_.end() || !lent_)
    return nullptr;
  return lent_->open(descriptor_of(found->second), link);
}

void socket_io::resume_reading(link_id link) {
  if (auto found = handles_.find(link); found != handles_.end())
    resume(found->second, sockets_.at(found->second));
}

void socket_io::resume(caf::io::connection_handle handle, open_socket& socket) {
  if (socket.reading != reading_state::pausing && socket.reading != reading_state::paused)
    return;
  socket.reading = reading_state::resuming;
  in_next_turn(handle, [handle](socket_io& self, open_socket&) {
    self.self_->trigger(handle);
    self.in_next_turn(
        handle, [](socket_io&, open_socket& resumed) { resumed.reading = reading_state::going; });
  });
}

void socket_io::on_unread(link_id link) {
  guarded([&] {
    tell_time();
    mesh_.on_unread(link);
  });
}

} // namespace fly::cluster
