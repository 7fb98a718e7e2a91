#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <caf/expected.hpp>

#include "fly/cluster/member.hpp"
#include "fly/cluster/proof.hpp"

namespace fly::cluster {

/// The versions of the wire format that this build speaks (docs/wire.md).
inline constexpr std::uint8_t wire_version_min = 1;
inline constexpr std::uint8_t wire_version_max = 1;

/// Longest kind and payload of a frame before the end of the handshake: strangers cost no more.
inline constexpr std::size_t handshake_bytes_max = 4096;

/// Random bytes that are used for one handshake only.
using nonce = std::array<std::byte, 32>;

/// Returns a fresh nonce from the system's source of randomness. Throws std::runtime_error where
/// there is none.
nonce random_nonce();

/// What each side says first. The layout never changes; later versions may append to it.
struct hello {
  std::uint8_t version_min = wire_version_min;
  std::uint8_t version_max = wire_version_max;
  /// Whether the sender has a secret.
  bool has_secret = false;
  cluster::nonce nonce{};
  /// Name of the cluster.
  std::string cluster{};
  member who{};

  friend bool operator==(const hello&, const hello&) = default;
};

/// Returns the payload of a hello frame.
std::vector<char> encode(const hello& value);

/// Reads the payload of a hello frame; what a later version has appended is skipped.
/// Errors: errc::malformed_frame, also for texts that are too long or hold control characters.
caf::expected<hello> decode_hello(std::span<const std::byte> payload);

/// Which side of the connection proves.
enum class proof_role : std::uint8_t { dialler, acceptor };

/// Computes the proof of one side over its role, the cluster's name, both ids and incarnations and
/// both hellos whole: it cannot be reflected, replayed or moved to another pair, and neither
/// version range can be bent. `dialler` and `acceptor` are the payloads as they crossed the wire.
/// `binding` is of the encrypted connection, empty where there is none.
proof prove(proof_role role, const std::string& secret, const hello& dialler_hello,
            std::span<const std::byte> dialler, const hello& acceptor_hello,
            std::span<const std::byte> acceptor, std::span<const std::byte> binding = {});

} // namespace fly::cluster
