#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include <caf/error.hpp>

#include "fly/cluster/frame.hpp"
#include "fly/cluster/line.hpp"
#include "fly/cluster/member.hpp"
#include "fly/cluster/reading_loan.hpp"

namespace fly::cluster {

class tls_filter;
struct tls_names;

/// Bounds of a `channel`.
struct channel_limits {
  /// Longest kind and payload of one frame.
  std::size_t frame_bytes_max = 16 * 1024 * 1024;
  /// Bytes that wait for the socket; above it `send` refuses. A single frame may be longer: it is
  /// taken while less than a sixteenth of this waits.
  std::size_t unsent_bytes_max = 8 * 1024 * 1024;
};

/// When a frame is to leave.
enum class urgency : std::uint8_t {
  now,  ///< Before `send` returns, unless others send or hold at the moment.
  soon, ///< With others: the owner of the socket is woken, once for many frames.
};

/// What may send on one connection to one member, from any thread. Frames leave in the order of
/// the calls. Free of CAF's actors.
///
/// Bytes reach the socket in one of two ways, never both at a time: through the line, by whichever
/// thread has something to send (it goes on until nothing is left, so that others only add); or,
/// where the line is full or not there yet, through the owner of the socket, who is woken once,
/// takes all that waits, and says when it is gone. While the owner deals with what it has read it
/// holds the channel, so that all answers to one read leave together.
///
/// Where the link is encrypted, what waits becomes cipher text when it is about to leave, in the
/// order in which it leaves, on both ways; nothing leaves uncopied then. What comes in is opened by
/// the mesh, or by who reads in its place (reading_loan.hpp), and so is what was said before there
/// was a channel.
class channel {
public:
  /// `wake` tells the owner of the socket that there is something to drain; it is called outside
  /// the lock, and not again before `flush` or `take`. `filter` encrypts what leaves; null for a
  /// link that is not encrypted.
  channel(member peer, channel_limits limits, std::function<void()> wake,
          std::shared_ptr<tls_filter> filter = {});

  ~channel();

  channel(const channel&) = delete;
  channel& operator=(const channel&) = delete;

  /// Returns who is at the other end.
  const member& peer() const noexcept { return peer_; }

  const channel_limits& limits() const noexcept { return limits_; }

  /// Returns the names in the other end's certificate; null where the link is not encrypted.
  const tls_names* certificate() const noexcept { return certificate_.get(); }

  /// Returns how callers read their answers themselves.
  reading_loan& reading() noexcept { return reading_; }

  /// Sends one frame with the payload `head` + `body`. Safe from any thread, never blocks.
  /// Errors, and then nothing was sent: errc::overloaded while `unsent_bytes` is at its bound,
  /// errc::no_such_member once closed, errc::frame_too_large.
  caf::error send(frame_kind kind, std::span<const std::byte> head,
                  std::span<const std::byte> body = {}, urgency when = urgency::now);

  /// Returns whether frames can still be sent. Safe from any thread.
  bool is_open() const noexcept;

  /// Returns the bytes that were sent and that the socket has not taken yet. Safe from any thread.
  std::size_t unsent_bytes() const noexcept;

  // -- for the owner of the socket
  // ---------------------------------------------------------------------

  /// Gives the channel its line, null for none. `in_flight` bytes that were written before are not
  /// in the socket yet: the line is used once `in_flight(0)` has been said.
  void connect(std::unique_ptr<line> direct, std::size_t in_flight);

  /// Sends a frame of this floor (a heartbeat) beyond the bound.
  caf::error send_always(frame_kind kind, std::span<const std::byte> payload);

  /// Lets frames wait, of all threads, until `flush`.
  void hold() noexcept;

  /// Ends a hold and sends what waits. Returns whether something is left for `take`.
  bool flush();

  /// Appends what waits to `out`, once another thread's sending is over, and re-arms the wake. The
  /// bytes count as unsent until `in_flight()` says otherwise, and all others wait for them.
  void take(std::vector<char>& out);

  /// Says how many of the taken bytes the socket has not taken yet.
  void in_flight(std::size_t bytes) noexcept;

  /// Sends a last frame and refuses all others. Waits for another thread's sending, which is no
  /// more than a copy into the socket. Returns whether something is left for `take`.
  bool finish(frame_kind kind);

  /// Drops what waits and refuses everything from now on; idempotent.
  void close() noexcept;

private:
  using lock = std::unique_lock<std::mutex>;

  caf::error add(frame_kind kind, std::span<const std::byte> head, std::span<const std::byte> body,
                 bool always, urgency when);
  bool is_at_bound(std::size_t length) const noexcept;
  std::size_t unsent() const noexcept {
    return outbox_.size() + batch_.size() + passing_ + in_flight_;
  }
  bool is_idle() const noexcept;
  bool next_batch();
  void send_batch(lock& held, std::span<const char> more);
  bool send_directly(lock& held, std::span<const char> uncopied = {});
  bool move_on(lock& held);
  void wait_for_sending(lock& held);
  void wake_owner(lock& held);

  const member peer_;
  std::unique_ptr<const tls_names> certificate_; // not changed once made
  const channel_limits limits_;
  const std::function<void()> wake_;
  const std::shared_ptr<tls_filter> filter_; // null where the link is not encrypted
  mutable std::mutex mutex_;
  std::condition_variable sent_; // notified when a sending is over and somebody waits for it
  std::unique_ptr<line> line_;   // guarded by mutex_; used by who has set sending_
  std::vector<char> outbox_;     // guarded by mutex_; frames that wait
  std::vector<char> batch_;      // guarded by mutex_; what the line is given, or has not taken
  std::size_t passing_ = 0;      // guarded by mutex_; bytes that the line is given uncopied
  std::size_t in_flight_ = 0;    // guarded by mutex_; taken, and not yet in the socket
  std::size_t waiting_ = 0;      // guarded by mutex_; threads that wait for the end of a sending
  bool sending_ = false;         // guarded by mutex_; a thread is at the line, and owns batch_
  bool by_owner_ = false; // guarded by mutex_; the line must not be used: bytes are before it
  bool held_ = false;     // guarded by mutex_
  bool woken_ = false;    // guarded by mutex_
  bool ended_ = false;    // guarded by mutex_; the last frame has been sent
  bool open_ = true;      // guarded by mutex_
  reading_loan reading_;
};

} // namespace fly::cluster
