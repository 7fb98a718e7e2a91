#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>

#include <caf/error.hpp>

#include "fly/cluster/channel.hpp"
#include "fly/cluster/frame.hpp"

namespace fly::cluster {

/// What a floor above hears of the cluster. Everything but `on_leaving` and `on_left` is called on
/// the node's I/O thread, one call at a time: it must not block and must not throw. A listener may
/// call the node's and the channel's functions, but not `node::unlisten`.
class listener {
public:
  virtual ~listener() = default;

  /// Takes one frame of a kind from `frame_kind::first_user` on, in order per channel. `payload` is
  /// valid during the call only.
  virtual void on_frame(const std::shared_ptr<channel>& from, frame_kind kind,
                        std::span<const std::byte> payload) = 0;

  /// Says that `which` is closed; exactly once for each channel that was up. Its member may come
  /// back with another channel, and may have done so already.
  virtual void on_link_down(const std::shared_ptr<channel>& which, const caf::error& reason) = 0;

  /// Says that members, links, services, the primary group, or claims (more than their positions)
  /// have changed: `node::views()` and its siblings have the new state.
  virtual void on_change() = 0;

  /// Says that another member leads, or nobody, or the same one for another turn:
  /// `node::leader()` has the new state. Called before `on_change`.
  virtual void on_leader() {}

  /// Says, once, that the node is about to leave: refuse new work, so that the others choose
  /// elsewhere, and return when what runs has ended, at `until` at the latest. Called on the thread
  /// that leaves, which may block; links are up, and frames come meanwhile.
  virtual void on_leaving(std::chrono::steady_clock::time_point until) { (void)until; }

  /// Says, once, that the node has left: no link is up any more, and none will be. Called on the
  /// thread that leaves.
  virtual void on_left() {}
};

} // namespace fly::cluster
