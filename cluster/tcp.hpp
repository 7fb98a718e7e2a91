#pragma once

#include <string>
#include <utility>

#include <caf/error.hpp>
#include <caf/expected.hpp>

#include "fly/cluster/address.hpp"

namespace fly::cluster {

/// Owns a socket. A resource that can be moved.
class socket_owner {
public:
  socket_owner() noexcept = default;
  explicit socket_owner(int descriptor) noexcept : descriptor_(descriptor) {}
  socket_owner(socket_owner&& other) noexcept : descriptor_(other.release()) {}
  socket_owner& operator=(socket_owner&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~socket_owner();

  /// Returns the descriptor, -1 where there is none.
  int descriptor() const noexcept { return descriptor_; }

  /// Gives the socket away.
  int release() noexcept { return std::exchange(descriptor_, -1); }

private:
  int descriptor_ = -1;
};

/// Binds a TCP socket to a numeric address, without listening yet; port 0 takes any free one.
/// Errors: errc::cannot_listen, naming address and port.
caf::expected<socket_owner> bind_tcp(const socket_address& where);

/// Starts to listen on a bound socket. Errors: errc::cannot_listen.
caf::error listen_tcp(const socket_owner& bound, const socket_address& where);

/// Returns the address that a socket is bound to; `fallback` where it has none.
socket_address local_address(const socket_owner& bound, const socket_address& fallback);

/// Starts to connect to a numeric address and returns at once; a socket that becomes writable is
/// connected, one that can be read and gives an error is not. From one address of loopback to
/// another the connection comes from `source`, as it would from one machine to another; anything
/// else from where the system likes. Errors: errc::invalid_argument, errc::overloaded (no
/// descriptors).
caf::expected<socket_owner> start_connect(const socket_address& where,
                                          const std::string& source = {});

} // namespace fly::cluster
