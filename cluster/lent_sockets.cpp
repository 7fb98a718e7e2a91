#include "fly/cluster/lent_sockets.hpp"

#include <cassert>
#include <utility>

#include <fcntl.h>

#include <caf/io/network/default_multiplexer.hpp>
#include <caf/io/network/event_handler.hpp>

namespace fly::cluster {

using caf::io::network::default_multiplexer;
using caf::io::network::operation;

/// Lives until the loop has forgotten it.
class lent_sockets::entry final : public caf::io::network::event_handler {
public:
  /// Takes `descriptor`.
  entry(default_multiplexer& backend, int descriptor, lent_sockets* owner)
      : event_handler(backend, caf::io::network::invalid_native_socket), owner_(owner) {
    fd_ = descriptor; // not a socket: none of a socket's options
    backend.add(operation::read, fd_, this);
  }

  void handle_event(operation) override {
    if (owner_ != nullptr)
      for (auto id : owner_->sockets_->ready())
        if (owner_ != nullptr) // the one before may have been its end
          owner_->on_unread_(id);
  }

  void removed_from_loop(operation) override { delete this; }

  void graceful_shutdown() override { leave(); }

  void leave() {
    owner_ = nullptr;
    backend().del(operation::read, fd_, this);
  }

private:
  lent_sockets* owner_;
};

lent_sockets::lent_sockets(caf::io::network::multiplexer& backend,
                           std::function<void(std::uint64_t)> on_unread)
    : backend_(backend), on_unread_(std::move(on_unread)) {}

lent_sockets::~lent_sockets() {
  if (entry_ != nullptr)
    entry_->leave();
}

std::unique_ptr<inlet> lent_sockets::open(int descriptor, std::uint64_t id) {
  if (!sockets_) {
    auto sockets = watched_sockets::make();
    auto own = sockets ? ::fcntl(sockets->descriptor(), F_DUPFD_CLOEXEC, 0) : -1;
    if (own < 0)
      return nullptr;
    assert(dynamic_cast<default_multiplexer*>(&backend_) != nullptr);
    sockets_ = std::move(sockets);
    entry_ = new entry(static_cast<default_multiplexer&>(backend_), own, this);
  }
  return inlet_from(descriptor, sockets_, id);
}

} // namespace fly::cluster
