#include "fly/cluster/channel.hpp"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <string>
#include <utility>

#include "fly/actors/copy_bytes.hpp"
#include "fly/actors/error.hpp"
#include "fly/actors/mutant.hpp"
#include "fly/cluster/tls_filter.hpp"

namespace fly::cluster {

namespace {

/// One huge frame must not hold its memory for the connection's life.
constexpr std::size_t kept_bytes_max = 256 * 1024;

/// How often a thread sends what others have added, before it leaves that to the owner.
constexpr int rounds_max = 16;

/// Shorter bodies are copied: that is less than what another part of a message costs the kernel.
constexpr std::size_t uncopied_bytes_min = 8 * 1024;

std::span<const char> characters_of(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void empty(std::vector<char>& buffer) noexcept {
  buffer.clear();
  if (buffer.capacity() > kept_bytes_max)
    std::vector<char>{}.swap(buffer);
}

} // namespace

channel::channel(member peer, channel_limits limits, std::function<void()> wake,
                 std::shared_ptr<tls_filter> filter)
    : peer_(std::move(peer)), limits_(limits), wake_(std::move(wake)), filter_(std::move(filter)),
      reading_(filter_, limits_.frame_bytes_max, wake_) {
  assert(wake_);
  if (filter_ && filter_->is_up())
    certificate_ = std::make_unique<const tls_names>(filter_->peer_names());
}

channel::~channel() = default;

caf::error channel::send(frame_kind kind, std::span<const std::byte> head,
                         std::span<const std::byte> body, urgency when) {
  return add(kind, head, body, false, when);
}

caf::error channel::send_always(frame_kind kind, std::span<const std::byte> payload) {
  return add(kind, payload, {}, true, urgency::now);
}

bool channel::is_at_bound(std::size_t length) const noexcept {
  // A nearly idle channel (a heartbeat may be on its way) takes any frame, else one longer than
  // the bound could never be sent.
  auto waits = unsent();
  if (mutant("unbounded_queue"))
    return false;
  return waits > limits_.unsent_bytes_max / 16 && waits + length > limits_.unsent_bytes_max;
}

caf::error channel::add(frame_kind kind, std::span<const std::byte> head,
                        std::span<const std::byte> body, bool always, urgency when) {
  auto length = 1 + head.size() + body.size();
  if (length > limits_.frame_bytes_max)
    return make_error(errc::frame_too_large, std::to_string(length) + " bytes to " + peer_.id +
                                                 ", the limit of a frame is " +
                                                 std::to_string(limits_.frame_bytes_max));
  lock held{mutex_};
  if (!open_ || ended_)
    return make_error(errc::no_such_member, "the connection to " + peer_.id + " is closed");
  if (!always && is_at_bound(length))
    return make_error(errc::overloaded, std::to_string(unsent()) + " bytes wait for " + peer_.id +
                                            ", the limit is " +
                                            std::to_string(limits_.unsent_bytes_max));
  bool left = false;
  if (when == urgency::now && body.size() >= uncopied_bytes_min && is_idle()) {
    append_frame_begin(batch_, kind, head, body.size());
    left = send_directly(held, characters_of(body));
  } else {
    append_frame(outbox_, kind, head, body);
    if (held_ || sending_)
      return {}; // whoever holds or sends takes it along
    left = when == urgency::soon || move_on(held);
  }
  if (left)
    wake_owner(held);
  return {};
}

/// Returns whether the next bytes of the connection are those that are sent now, as they are.
bool channel::is_idle() const noexcept {
  return line_ && !filter_ && !held_ && !sending_ && !by_owner_ && outbox_.empty() &&
         batch_.empty();
}

/// Sends what waits where this thread may. Returns whether the owner has to.
bool channel::move_on(lock& held) {
  if (!open_ || sending_)
    return false;
  if (!line_ || by_owner_)
    return !outbox_.empty() || !batch_.empty();
  return send_directly(held);
}

/// Makes what waits the next bytes of the connection, with what the filter itself has to answer.
bool channel::next_batch() {
  assert(batch_.empty());
  if (!filter_) {
    batch_.swap(outbox_); // the two buffers go back and forth: no copy, no allocation
  } else {
    filter_->seal(outbox_, batch_); // an error is told by the reading side, which ends the link
    empty(outbox_);
  }
  return !batch_.empty();
}

/// Gives the line `batch_` and then `more`. What it does not take is in `batch_` then, and the
/// owner's.
void channel::send_batch(lock& held, std::span<const char> more) {
  passing_ = more.size();
  held.unlock();
  auto taken = line_->send(batch_, more);
  held.lock();
  passing_ = 0;
  if (taken == batch_.size() + more.size())
    return empty(batch_);
  by_owner_ = true;
  auto of_batch = std::min(taken, batch_.size());
  batch_.erase(batch_.begin(), batch_.begin() + static_cast<std::ptrdiff_t>(of_batch));
  auto rest = more.subspan(taken - of_batch);
  actors::append_bytes(batch_, rest.data(), rest.size());
}

/// Gives the line `batch_` and `uncopied` where there is such, all that waits, and what is added
/// meanwhile. Returns whether something is left for the owner: the line is full, or others add
/// without an end.
bool channel::send_directly(lock& held, std::span<const char> uncopied) {
  sending_ = true;
  if (!uncopied.empty())
    send_batch(held, uncopied);
  for (int round = 0; round < rounds_max && open_ && !by_owner_ && next_batch(); ++round)
    send_batch(held, {});
  sending_ = false;
  if (!open_) {
    std::vector<char>{}.swap(batch_);
    line_.reset();
  }
  if (waiting_ > 0)
    sent_.notify_all();
  return open_ && (by_owner_ || !outbox_.empty());
}

/// Waits until no other thread is at the line, which is no more than a copy into the socket.
void channel::wait_for_sending(lock& held) {
  ++waiting_;
  sent_.wait(held, [this] { return !sending_; });
  --waiting_;
}

void channel::wake_owner(lock& held) {
  if (std::exchange(woken_, true))
    return;
  held.unlock();
  wake_();
}

bool channel::is_open() const noexcept {
  std::lock_guard guard{mutex_};
  return open_ && !ended_;
}

std::size_t channel::unsent_bytes() const noexcept {
  std::lock_guard guard{mutex_};
  return unsent();
}

void channel::connect(std::unique_ptr<line> direct, std::size_t in_flight) {
  std::lock_guard guard{mutex_};
  if (!open_)
    return;
  line_ = std::move(direct);
  in_flight_ = in_flight;
  by_owner_ = in_flight > 0;
}

void channel::hold() noexcept {
  std::lock_guard guard{mutex_};
  held_ = true;
}

bool channel::flush() {
  lock held{mutex_};
  held_ = false;
  woken_ = false;
  return move_on(held);
}

void channel::take(std::vector<char>& out) {
  lock held{mutex_};
  wait_for_sending(held);
  woken_ = false;
  auto before = out.size();
  if (batch_.empty())
    next_batch();
  do {
    if (out.empty())
      out.swap(batch_);
    else
      actors::append_bytes(out, batch_.data(), batch_.size());
    empty(batch_);
  } while (next_batch());
  in_flight_ += out.size() - before;
  by_owner_ = in_flight_ > 0;
}

void channel::in_flight(std::size_t bytes) noexcept {
  std::lock_guard guard{mutex_};
  if (!open_)
    return;
  in_flight_ = bytes;
  by_owner_ = bytes > 0 || (!sending_ && !batch_.empty());
}

bool channel::finish(frame_kind kind) {
  lock held{mutex_};
  if (!open_ || std::exchange(ended_, true))
    return false;
  append_frame(outbox_, kind, {});
  held_ = false;
  wait_for_sending(held);
  return move_on(held);
}

void channel::close() noexcept {
  reading_.close();
  std::lock_guard guard{mutex_};
  open_ = false;
  in_flight_ = 0;
  std::vector<char>{}.swap(outbox_);
  if (sending_)
    return; // the thread at the line ends it
  std::vector<char>{}.swap(batch_);
  line_.reset();
}

} // namespace fly::cluster
