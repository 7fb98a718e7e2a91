#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <caf/expected.hpp>

#include "fly/cluster/claim.hpp"

namespace fly::cluster {

/// The heartbeat that each side of a link sends. A value.
struct beat {
  /// The sender's monotonic clock, in microseconds; means nothing to the receiver but to echo it.
  std::uint64_t sent_us = 0;
  /// `sent_us` of the last heartbeat that the sender received; 0 before the first.
  std::uint64_t echo_us = 0;
  /// How long the sender has had that one, in microseconds.
  std::uint64_t held_us = 0;
  /// Calls that run or wait at the sender.
  std::uint32_t load = 0;
  claim database{};

  friend bool operator==(const beat&, const beat&) = default;
};

/// Returns the payload of a beat frame.
std::vector<char> encode(const beat& value);

/// Reads the payload of a beat frame; what a later version has appended is skipped, and a role that
/// it has added is read as `unknown`. Errors: errc::malformed_frame.
caf::expected<beat> decode_beat(std::span<const std::byte> payload);

} // namespace fly::cluster
