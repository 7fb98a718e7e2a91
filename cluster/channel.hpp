#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include <caf/error.hpp>

#include "fly/cluster/frame.hpp"
#include "fly/cluster/member.hpp"

namespace fly::cluster {

class tls_filter;

/// Bounds of a `channel`.
struct channel_limits {
  /// Longest kind and payload of one frame.
  std::size_t frame_bytes_max = 16 * 1024 * 1024;
  /// Bytes that wait for the socket; above it `send` refuses. A single frame may be longer: it is
  /// taken while less than a sixteenth of this waits.
  std::size_t unsent_bytes_max = 8 * 1024 * 1024;
};

/// What may send on one connection to one member, from any thread. Frames leave in the order of
/// the calls. Free of CAF's actors: whoever owns the socket is woken once for many frames and takes
/// them all.
class channel {
public:
  /// `wake` tells the owner of the socket that there is something to take; it is called outside the
  /// lock, and not again before `take` has emptied the outbox.
  /// `filter` encrypts what leaves; null for a link that is not encrypted.
  channel(member peer, channel_limits limits, std::function<void()> wake,
          std::shared_ptr<tls_filter> filter = {});

  channel(const channel&) = delete;
  channel& operator=(const channel&) = delete;

  /// Returns who is at the other end.
  const member& peer() const noexcept { return peer_; }

  /// Queues one frame with the payload `head` + `body`. Safe from any thread, never blocks.
  /// Errors, and then nothing was sent: errc::overloaded while `unsent_bytes` is at its bound,
  /// errc::no_such_member once closed, errc::frame_too_large.
  caf::error send(frame_kind kind, std::span<const std::byte> head,
                  std::span<const std::byte> body = {});

  /// Returns whether frames can still be queued. Safe from any thread.
  bool is_open() const noexcept;

  /// Returns the bytes that were queued and that the socket has not taken yet. Safe from any
  /// thread.
  std::size_t unsent_bytes() const noexcept;

  // -- for the owner of the socket
  // ---------------------------------------------------------------------

  /// Queues a frame of this floor (a heartbeat) beyond the bound.
  caf::error send_always(frame_kind kind, std::span<const std::byte> payload);

  /// Queues what the filter itself has to say after it has read (an answer to a new key).
  void flush();

  /// Appends what was queued to `out` and re-arms the wake. The bytes count as unsent until
  /// `in_flight()` says otherwise.
  void take(std::vector<char>& out);

  /// Says how many of the taken bytes the socket has not taken yet.
  void in_flight(std::size_t bytes) noexcept;

  /// Drops what was queued and refuses everything from now on; idempotent.
  void close() noexcept;

private:
  caf::error queue(frame_kind kind, std::span<const std::byte> head,
                   std::span<const std::byte> body, bool always);

  const member peer_;
  const channel_limits limits_;
  mutable std::mutex mutex_;
  std::function<void()> wake_;               // guarded by mutex_; empty once closed
  const std::shared_ptr<tls_filter> filter_; // null where the link is not encrypted
  std::vector<char> plain_;   // guarded by mutex_; one frame on its way through the filter
  std::vector<char> outbox_;  // guarded by mutex_
  std::size_t in_flight_ = 0; // guarded by mutex_; taken, and not yet in the socket
  bool woken_ = false;        // guarded by mutex_
  bool open_ = true;          // guarded by mutex_
};

} // namespace fly::cluster
