#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <caf/error.hpp>
#include <caf/expected.hpp>

#include "fly/rpc/call_parts.hpp"
#include "fly/rpc/function.hpp"

namespace fly::cluster {
class channel;
}

namespace fly::rpc {

/// Where an answer goes.
struct return_address {
  std::shared_ptr<cluster::channel> link;
  /// The caller's number of the call.
  std::uint64_t id = 0;
  /// The function's name, for texts.
  std::string name;
  /// When the caller gives up.
  std::chrono::steady_clock::time_point deadline;
  /// Goes along with the answer; null for a caller that did not ask.
  std::shared_ptr<const call_parts> parts{};
};

/// Sends answers; keeps those that a full link does not take, within a bound, until it does or
/// their callers have given up. Safe from any thread, never blocks.
class answers {
public:
  /// Most bytes that are kept for full links, all together; an answer above it is dropped, and its
  /// caller gets errc::timeout.
  static constexpr std::size_t kept_bytes_max = 64 * 1024 * 1024;

  /// Sends `outcome`. A result that is too large for a frame becomes errc::malformed_result.
  void send(const return_address& to, caf::expected<bytes> outcome);

  /// Tries again what is kept, and drops what nobody waits for any more.
  void flush(std::chrono::steady_clock::time_point now);

  /// Returns the bytes that are kept.
  std::size_t kept_bytes() const;

private:
  struct kept {
    return_address to;
    std::vector<char> head;
    bytes result;
    std::size_t size() const noexcept { return head.size() + result.size(); }
  };

  void keep(kept late);

  mutable std::mutex mutex_;
  std::deque<kept> late_;      // guarded by mutex_
  std::size_t late_bytes_ = 0; // guarded by mutex_; the sizes of late_, <= kept_bytes_max
};

} // namespace fly::rpc
