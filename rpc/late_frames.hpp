#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "fly/cluster/frame.hpp"
#include "fly/rpc/function.hpp"

namespace fly::cluster {
class channel;
}

namespace fly::rpc {

/// Sends frames that must not be lost while their link lives; keeps those that a full link does not
/// take, within a bound, until it does. Safe from any thread, never blocks.
class late_frames {
public:
  /// Most bytes that are kept for one link.
  static constexpr std::size_t kept_bytes_max = 8 * 1024 * 1024;

  /// What became of a frame.
  enum class fate : std::uint8_t {
    taken,     ///< Sent or kept, or its link is closed.
    too_large, ///< Longer than a frame may be: nothing was sent.
    refused,   ///< The link is full, and so is what is kept for it: nothing was sent.
  };

  /// Sends a frame with the payload `head` + `body`. One that is `last_of` something, which has a
  /// number, is kept beyond the bound; where one of the same is kept already, that says it.
  fate send(const std::shared_ptr<cluster::channel>& link, cluster::frame_kind kind,
            std::vector<char> head, bytes body = {}, std::optional<std::uint64_t> last_of = {});

  /// Tries again what is kept.
  void flush();

  bool is_empty() const noexcept { return is_empty_.load(); }

private:
  bool has_waiting(const cluster::channel* link);

  struct kept {
    std::shared_ptr<cluster::channel> link;
    cluster::frame_kind kind;
    std::vector<char> head;
    bytes body;
    std::optional<std::uint64_t> last_of;
    std::size_t size() const noexcept { return head.size() + body.size(); }
  };

  std::atomic<bool> is_empty_{true}; // nobody locks while there is nothing
  std::mutex mutex_;
  std::deque<kept> late_;                                  // guarded by mutex_
  std::map<const cluster::channel*, std::size_t> waiting_; // guarded by mutex_; bytes in late_
  std::set<std::pair<const cluster::channel*, std::uint64_t>> last_; // guarded by mutex_; in late_
};

} // namespace fly::rpc
