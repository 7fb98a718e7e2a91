#pragma once

#include <cstdint>
#include <string>

#include "fly/cluster/tcp.hpp"

namespace fly::local {

/// Addresses 127.0.N.* that nobody else listens on, for the time of this object: one for each
/// region and one for what stands before it. Several playgrounds run side by side on the same
/// ports. Linux has all of 127.0.0.0/8 on its loopback device. A resource.
class loopback_block {
public:
  /// Most regions in a block.
  static constexpr std::size_t regions_max = 16;

  /// Takes the first free block; the claim is a socket on 127.0.N.254:`port`. Throws
  /// std::runtime_error where none is free.
  loopback_block(std::size_t regions, std::uint16_t port);

  /// Returns the address of the region itself, "127.0.0.2" for the first one.
  std::string address(std::size_t region) const;

  /// Returns the address at which others are to find the region, "127.0.0.102" for the first one.
  std::string front(std::size_t region) const;

private:
  std::string at(std::size_t last) const;

  int number_ = -1;
  cluster::socket_owner claim_;
};

/// Returns whether a process listens on this IPv4 address and port, or on all addresses with this
/// port. Reads /proc/net/tcp: connects to nobody.
bool is_listened(const std::string& address, std::uint16_t port);

} // namespace fly::local
