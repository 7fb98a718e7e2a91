#include "fly/cluster/reading_loan.hpp"

#include <algorithm>
#include <utility>

#include "fly/cluster/tls_filter.hpp"
#include "fly/cluster/wire.hpp"

namespace fly::cluster {

namespace {

using namespace std::chrono_literals;

/// Longest turn of a reader: an answer that takes longer costs a wake-up more, which it does not
/// notice, and who ends the call meanwhile is heard after it at the latest.
constexpr auto turn_max = 5ms;

/// How much later than the end of its turn a reader may be.
constexpr auto late_max = 5ms;

/// Most bytes of one read, and those that a loan keeps.
constexpr std::size_t piece_bytes = 72 * 1024;
constexpr std::size_t kept_bytes_max = 256 * 1024;

/// Bytes after which a turn of the owner reads no more: a peer that keeps the socket full must not
/// keep the owner's thread, and callers from the lock.
constexpr std::size_t owner_bytes = 256 * 1024;

/// After so many turns of the owner without a read between them the loan is not worth its cost, and
/// callers have to ask so often for the next one.
constexpr int idle_turns_max = 16;
constexpr int wishes_min = 64;

} // namespace

reading_loan::reading_loan(std::shared_ptr<tls_filter> filter, std::size_t frame_bytes_max,
                           std::function<void()> wake)
    : filter_(std::move(filter)), frame_bytes_max_(frame_bytes_max), wake_(std::move(wake)) {}

// -- readers --------------------------------------------------------------------------------------

reading_loan::turn reading_loan::begin() {
  if (!lent_.load(std::memory_order_relaxed)) {
    if (wishes_left_.fetch_sub(1, std::memory_order_relaxed) == 1 &&
        !wanted_.exchange(true, std::memory_order_relaxed))
      wake_();
    return {};
  }
  auto until = clock::now() + turn_max;
  lock held{mutex_};
  if (!inlet_ || given_back_ || (reading_ && !owners_) || next_ != 0)
    return {};
  until_ = until;
  auto number = ++last_number_;
  if (owners_) { // it has read already what is to be dealt with first
    next_ = number;
  } else {
    number_ = number;
    reading_ = true;
    inlet_->watch(false);
  }
  return {this, inlet_, number, until};
}

bool reading_loan::read(turn own, const awaits& mine, const taker& take, clock::time_point until) {
  if (!own)
    return false;
  until = std::min(until, own.until_);
  while (own.from_->wait_until(until)) {
    std::optional<frame> found;
    {
      lock held{mutex_};
      if (number_ != own.number_)
        return false; // taken back, closed, or the owner is at it yet
      if (find(*own.from_, found) && !found)
        continue;
      if (!found || !mine(*found))
        return false;
      handing_ = true;
    }
    auto bytes = frame_head_bytes + found->payload.size();
    try {
      take(*found); // before the turn ends: what comes behind it must not be dealt with before it
    } catch (...) {
      taken(bytes);
      throw;
    }
    taken(bytes);
    return true;
  }
  return false;
}

/// Reads until `found` is whole, or nothing is there to read: true. False where the stream is at
/// its end. The caller has the lock.
bool reading_loan::find(inlet& from, std::optional<frame>& found) {
  for (;;) {
    auto before = read_bytes_;
    if (!fetch(from)) {
      ended_ = true;
      return false;
    }
    auto first = first_frame(unread(), frame_bytes_max_);
    if (!first)
      return false; // the owner finds it, too
    found = *first;
    if (found || read_bytes_ == before)
      return true;
  }
}

/// Reads what is there. Returns false where the connection is over. The caller has the lock.
bool reading_loan::fetch(inlet& from) {
  if (filter_) {
    cipher_.resize(piece_bytes);
    auto got = from.read(cipher_);
    if (got <= 0)
      return got == 0;
    broken_ = filter_->open(bytes_of(cipher_).first(static_cast<std::size_t>(got)), bytes_);
    read_bytes_ = bytes_.size();
    return !broken_;
  }
  if (bytes_.size() - read_bytes_ < piece_bytes / 2)
    bytes_.resize(bytes_.size() + std::max(piece_bytes, bytes_.size()));
  auto got = from.read(std::span{bytes_}.subspan(read_bytes_));
  if (got > 0)
    read_bytes_ += static_cast<std::size_t>(got);
  return got >= 0;
}

std::span<const std::byte> reading_loan::unread() const noexcept {
  return bytes_of(bytes_).first(read_bytes_);
}

/// Forgets the frame that was taken.
void reading_loan::taken(std::size_t bytes) {
  lock held{mutex_};
  handing_ = false;
  idle_turns_ = 0;
  auto left = read_bytes_ - bytes;
  std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(bytes), left, bytes_.begin());
  read_bytes_ = left;
  if (filter_)
    bytes_.resize(left);
  if (bytes_.capacity() > kept_bytes_max && left == 0)
    std::vector<char>{}.swap(bytes_);
}

/// Ends a reader's turn: with what it leaves behind the owner gets the reading back.
void reading_loan::end(std::uint64_t number) {
  {
    lock held{mutex_};
    if (next_ == number)
      next_ = 0;
    if (number_ != number)
      return;
    number_ = 0;
    reading_ = false;
    given_back_ = read_bytes_ > 0 || ended_ || broken_;
    if (!given_back_) {
      inlet_->watch(true);
      return;
    }
  }
  wake_();
}

// -- the owner ------------------------------------------------------------------------------------

bool reading_loan::take_wish() noexcept {
  if (!wanted_.load(std::memory_order_relaxed))
    return false;
  wishes_left_ = wishes_min; // where it cannot be lent at the moment
  wanted_ = false;
  return true;
}

void reading_loan::lend(std::unique_ptr<inlet> from) {
  lock held{mutex_};
  if (closed_ || inlet_)
    return;
  inlet_ = std::move(from);
  idle_turns_ = 0;
  lent_ = true;
}

bool reading_loan::is_given_back() const {
  lock held{mutex_};
  return given_back_;
}

/// Returns whether what was read ends with a frame. The caller has the lock.
bool reading_loan::is_whole() const {
  for (auto left = unread(); !left.empty();) {
    auto first = first_frame(left, frame_bytes_max_);
    if (!first || !*first)
      return false;
    left = left.subspan(frame_head_bytes + (*first)->payload.size());
  }
  return true;
}

/// The caller has the lock.
reading_loan::rest reading_loan::leave_to_owner(bool is_over) {
  auto left = unread();
  rest result{{left.begin(), left.end()}, std::exchange(broken_, {}), is_over};
  read_bytes_ = 0;
  if (filter_)
    bytes_.clear();
  ended_ = false;
  given_back_ = false;
  number_ = 0;
  reading_ = !is_over;
  owners_ = !is_over;
  if (is_over) {
    next_ = 0;
    lent_ = false;
    inlet_.reset();
  }
  return result;
}

std::optional<reading_loan::rest> reading_loan::take_turn() {
  lock held{mutex_};
  if (!inlet_ || reading_)
    return std::nullopt;
  auto enough = read_bytes_ + owner_bytes; // the rest is told when it is watched again
  for (auto before = read_bytes_; !ended_ && before < enough; before = read_bytes_) {
    ended_ = !fetch(*inlet_);
    if (read_bytes_ == before)
      break;
  }
  return leave_to_owner(ended_ || broken_ || ++idle_turns_ > idle_turns_max || !is_whole());
}

void reading_loan::go_on() {
  lock held{mutex_};
  if (!inlet_)
    return;
  owners_ = false;
  number_ = std::exchange(next_, 0);
  reading_ = number_ != 0;
  if (!reading_)
    inlet_->watch(true);
}

std::optional<reading_loan::rest> reading_loan::take_back_late(clock::time_point now) {
  if (!lent_.load(std::memory_order_relaxed))
    return std::nullopt;
  lock held{mutex_};
  if (!inlet_ || !reading_ || owners_ || handing_ || now < until_ + late_max)
    return std::nullopt;
  return leave_to_owner(true);
}

void reading_loan::close() noexcept {
  lock held{mutex_};
  closed_ = true;
  lent_ = false;
  wishes_left_ = 0; // nobody asks any more
  number_ = 0;
  next_ = 0;
  reading_ = false;
  owners_ = false;
  given_back_ = false;
  inlet_.reset();
}

} // namespace fly::cluster
