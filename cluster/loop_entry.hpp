#pragma once

#include <caf/io/fwd.hpp>
#include <caf/io/network/event_handler.hpp>
#include <caf/io/network/operation.hpp>

namespace fly::cluster {

/// A descriptor of ours that is no socket, in CAF's I/O loop: `handle_event` is called while it can
/// be read. The loop owns it; who has made it ends it with `leave`. Only on the I/O thread.
class loop_entry : public caf::io::network::event_handler {
public:
  /// Takes the open `descriptor`. `backend` is CAF's default multiplexer.
  loop_entry(caf::io::network::multiplexer& backend, int descriptor);

  /// Ends it, once. The loop deletes it, and closes the descriptor, at the end of its turn; until
  /// then `handle_event` may still be called.
  void leave();

  bool has_left() const noexcept { return left_; }

  void removed_from_loop(caf::io::network::operation) override { delete this; }
  void graceful_shutdown() override { leave(); }

private:
  bool left_ = false;
};

} // namespace fly::cluster
