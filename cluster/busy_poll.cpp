#include "fly/cluster/busy_poll.hpp"

#include <sched.h>
#include <sys/eventfd.h>

#include "fly/cluster/loop_entry.hpp"

namespace fly::cluster {

namespace {

using clock = std::chrono::steady_clock;

} // namespace

class busy_poll::entry final : public loop_entry {
public:
  entry(caf::io::network::multiplexer& backend, int descriptor, busy_poll& owner)
      : loop_entry(backend, descriptor), owner_(owner) {}

  void handle_event(caf::io::network::operation) override {
    if (!has_left())
      owner_.on_turn();
  }

  void keep_awake() { ::eventfd_write(fd(), 1); }

  void let_sleep() {
    eventfd_t ignored = 0;
    ::eventfd_read(fd(), &ignored);
  }

private:
  busy_poll& owner_; // until it leaves
};

busy_poll::busy_poll(caf::io::network::multiplexer& backend, std::chrono::microseconds longest)
    : polling_(longest) {
  if (longest.count() == 0)
    return;
  auto descriptor = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (descriptor >= 0)
    entry_ = new entry(backend, descriptor, *this);
}

busy_poll::~busy_poll() {
  if (entry_ != nullptr)
    entry_->leave();
}

void busy_poll::on_read(std::size_t frames) {
  if (entry_ == nullptr)
    return;
  auto was_on = polling_.is_on();
  polling_.on_read(frames, clock::now());
  if (polling_.is_on() && !was_on)
    entry_->keep_awake();
}

/// The processor is offered in each turn: a thread that waits for it, of this process or another
/// one, has it at once.
void busy_poll::on_turn() {
  auto offered = clock::now();
  ::sched_yield();
  polling_.on_offer(offered, clock::now());
  if (!polling_.is_on())
    entry_->let_sleep();
}

} // namespace fly::cluster
