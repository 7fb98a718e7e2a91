#pragma once

#include <chrono>
#include <cstddef>

#include <caf/io/fwd.hpp>

#include "fly/cluster/polling.hpp"

namespace fly::cluster {

/// Keeps CAF's I/O loop from sleeping while its `polling` says so: a descriptor in the loop can be
/// read as long, so that each turn serves whatever has come on all others and returns at once. Only
/// on the I/O thread.
class busy_poll {
public:
  /// Polls for `longest` after a batch. `backend` is CAF's default multiplexer. Never polls where
  /// `longest` is 0 or the process has no descriptor left.
  busy_poll(caf::io::network::multiplexer& backend, std::chrono::microseconds longest);

  /// Lets the loop sleep.
  ~busy_poll();

  busy_poll(const busy_poll&) = delete;
  busy_poll& operator=(const busy_poll&) = delete;

  /// Says that `frames` were read at once and have been dealt with.
  void on_read(std::size_t frames);

  /// Returns whether both ends of a link can be expected to work at the same time.
  bool is_tried() const noexcept { return entry_ != nullptr && polling_.is_tried(); }

private:
  class entry;

  void on_turn();

  polling polling_;
  entry* entry_ = nullptr; // owned by the loop
};

} // namespace fly::cluster
