#include "fly/cluster/channel.hpp"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <string>
#include <utility>

#include "fly/actors/error.hpp"
#include "fly/cluster/tls_filter.hpp"

namespace fly::cluster {

channel::channel(member peer, channel_limits limits, std::function<void()> wake,
                 std::shared_ptr<tls_filter> filter)
    : peer_(std::move(peer)), limits_(limits), wake_(std::move(wake)), filter_(std::move(filter)) {
  assert(wake_);
}

caf::error channel::send(frame_kind kind, std::span<const std::byte> head,
                         std::span<const std::byte> body) {
  return queue(kind, head, body, false);
}

caf::error channel::send_always(frame_kind kind, std::span<const std::byte> payload) {
  return queue(kind, payload, {}, true);
}

caf::error channel::queue(frame_kind kind, std::span<const std::byte> head,
                          std::span<const std::byte> body, bool always) {
  auto length = 1 + head.size() + body.size();
  if (length > limits_.frame_bytes_max)
    return make_error(errc::frame_too_large, std::to_string(length) + " bytes to " + peer_.id +
                                                 ", the limit of a frame is " +
                                                 std::to_string(limits_.frame_bytes_max));
  std::function<void()> wake;
  {
    std::lock_guard guard{mutex_};
    if (!open_)
      return make_error(errc::no_such_member, "the connection to " + peer_.id + " is closed");
    auto unsent = outbox_.size() + in_flight_;
    // A nearly idle channel (a heartbeat may be on its way) takes any frame, else one longer than
    // the bound could never be sent.
    bool is_idle = unsent <= limits_.unsent_bytes_max / 16;
    if (!always && !is_idle && unsent + length > limits_.unsent_bytes_max)
      return make_error(errc::overloaded, std::to_string(unsent) + " bytes wait for " + peer_.id +
                                              ", the limit is " +
                                              std::to_string(limits_.unsent_bytes_max));
    if (filter_) {
      plain_.clear();
      append_frame(plain_, kind, head, body);
      if (auto over = filter_->seal(plain_, outbox_))
        return make_error(errc::no_such_member, "the connection to " + peer_.id + " is closed");
    } else {
      append_frame(outbox_, kind, head, body);
    }
    if (std::exchange(woken_, true))
      return {};
    wake = wake_;
  }
  wake();
  return {};
}

void channel::flush() {
  std::function<void()> wake;
  {
    std::lock_guard guard{mutex_};
    if (!open_ || !filter_ || filter_->seal({}, outbox_) || outbox_.empty() ||
        std::exchange(woken_, true))
      return;
    wake = wake_;
  }
  wake();
}

bool channel::is_open() const noexcept {
  std::lock_guard guard{mutex_};
  return open_;
}

std::size_t channel::unsent_bytes() const noexcept {
  std::lock_guard guard{mutex_};
  return outbox_.size() + in_flight_;
}

void channel::take(std::vector<char>& out) {
  std::lock_guard guard{mutex_};
  woken_ = false;
  in_flight_ += outbox_.size();
  if (out.empty()) {
    out.swap(outbox_); // the two buffers go back and forth: no copy, no allocation
  } else {
    auto before = out.size(); // g++ 14 takes an insert for an overflow
    out.resize(before + outbox_.size());
    std::copy(outbox_.begin(), outbox_.end(), out.begin() + static_cast<std::ptrdiff_t>(before));
  }
  outbox_.clear();
}

void channel::in_flight(std::size_t bytes) noexcept {
  std::lock_guard guard{mutex_};
  if (open_)
    in_flight_ = bytes;
}

void channel::close() noexcept {
  std::function<void()> wake; // what it holds ends outside the lock
  std::lock_guard guard{mutex_};
  open_ = false;
  in_flight_ = 0;
  std::vector<char>{}.swap(outbox_);
  wake_.swap(wake);
}

} // namespace fly::cluster
