#include "fly/cluster/lent_sockets.hpp"

#include <utility>

#include <fcntl.h>

#include "fly/cluster/loop_entry.hpp"

namespace fly::cluster {

class lent_sockets::entry final : public loop_entry {
public:
  entry(caf::io::network::multiplexer& backend, int descriptor, lent_sockets& owner)
      : loop_entry(backend, descriptor), owner_(owner) {}

  void handle_event(caf::io::network::operation) override {
    if (has_left())
      return;
    for (auto id : owner_.sockets_->ready())
      if (!has_left()) // the one before may have been its end
        owner_.on_unread_(id);
  }

private:
  lent_sockets& owner_; // until it leaves
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
    sockets_ = std::move(sockets);
    entry_ = new entry(backend_, own, *this);
  }
  return inlet_from(descriptor, sockets_, id);
}

} // namespace fly::cluster
