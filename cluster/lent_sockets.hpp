#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include <caf/io/fwd.hpp>

#include "fly/cluster/inlet.hpp"

namespace fly::cluster {

/// Tells CAF's I/O loop of sockets that others read: one entry of the loop for all of them. Only on
/// the I/O thread.
class lent_sockets {
public:
  /// `on_unread` hears of each that can be read, or has ended. `backend` is CAF's default
  /// multiplexer.
  lent_sockets(caf::io::network::multiplexer& backend,
               std::function<void(std::uint64_t id)> on_unread);

  /// Says nothing any more; inlets that are left stay usable.
  ~lent_sockets();

  lent_sockets(const lent_sockets&) = delete;
  lent_sockets& operator=(const lent_sockets&) = delete;

  /// Returns a way to read `descriptor` from another thread, as `inlet_from`.
  std::unique_ptr<inlet> open(int descriptor, std::uint64_t id);

private:
  class entry;

  caf::io::network::multiplexer& backend_;
  std::function<void(std::uint64_t)> on_unread_;
  std::shared_ptr<watched_sockets> sockets_; // null until one is lent
  entry* entry_ = nullptr;                   // owned by the loop
};

} // namespace fly::cluster
