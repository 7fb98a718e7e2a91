#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace fly::cluster {

/// One process of the cluster, as it describes itself in the handshake. A value.
struct member {
  /// Machine id, the same after a restart: FLY_MACHINE_ID, else "<hostname>/<address>:<port>". Not
  /// empty.
  std::string id{};
  /// Microseconds since the epoch at process start: a later start has a higher one.
  std::uint64_t incarnation = 0;
  /// The region's label, "syd".
  std::string region{};
  /// Where it can be reached, "127.0.0.2:4370" or "[fdaa::1]:4370": where it listens, unless it
  /// advertises another address. Empty for an observer, which does not listen.
  std::string address{};
  /// The application's version, free text (FLY_IMAGE_REF); empty where unknown.
  std::string version{};
  /// A visitor (the command line): never asked for work, in no list of members.
  bool observer = false;

  friend auto operator<=>(const member&, const member&) = default;
};

/// Returns whether both are the same process: same id, same incarnation.
inline bool same_process(const member& a, const member& b) noexcept {
  return a.incarnation == b.incarnation && a.id == b.id;
}

} // namespace fly::cluster
