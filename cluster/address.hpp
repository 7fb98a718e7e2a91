#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include <caf/error.hpp>
#include <caf/expected.hpp>

namespace fly::cluster {

/// A host, by name or number, and a port. A value.
struct socket_address {
  std::string host{};
  std::uint16_t port = 0;

  friend auto operator<=>(const socket_address&, const socket_address&) = default;
};

/// Returns "127.0.0.2:4370", "[fdaa::1]:4370", "peer.example:4370".
std::string to_string(const socket_address& where);

/// Reads "host", "host:port", "address", "[address]" or "[address]:port"; a numeric address comes
/// back in its canonical form. `port` serves where the text names none.
/// Errors: errc::invalid_argument, quoting the text.
caf::expected<socket_address> parse_socket_address(std::string_view text, std::uint16_t port);

/// How far an address can be reached from.
enum class reach : std::uint8_t {
  name,     ///< Not an address but a name.
  loopback, ///< 127.0.0.0/8 and ::1: this machine.
  sixpn,    ///< fdaa::/16: all apps of one organisation on Fly.
  other,    ///< Anything else, the whole world as far as we know.
};

/// Returns how far `host` can be reached from.
reach reach_of(const std::string& host);

/// What protects a listening port.
struct listen_guards {
  bool secret = false;   ///< Members must prove the secret.
  bool tls = false;      ///< Links are encrypted, and members show certificates.
  bool insecure = false; ///< The user wants to go without (--insecure).
};

/// Decides where may be listened: loopback freely, 6PN with a secret, any other address with secret
/// and TLS, and all of it where the user insists. Returns errc::invalid_argument with the reason
/// otherwise.
caf::error check_listen(const socket_address& where, const listen_guards& with);

} // namespace fly::cluster
