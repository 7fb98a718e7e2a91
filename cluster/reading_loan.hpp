#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <caf/error.hpp>

#include "fly/cluster/frame.hpp"
#include "fly/cluster/inlet.hpp"

namespace fly::cluster {

class tls_filter;

/// The reading of one connection, which its owner lends to threads that wait for an answer there: a
/// thread that reads its answer itself saves two wake-ups, the owner's and its own. One thread
/// reads at a time, and only frames that it waits for: at the first other one all that it has goes
/// to the owner, who reads, too, where no thread does. The loan ends with the connection, with half
/// a frame at the owner's turn, or where it is not used. Free of CAF's actors. Safe from any
/// thread.
class reading_loan {
public:
  using clock = std::chrono::steady_clock;

  /// Whether a frame is the one that is waited for. Looks at it and does nothing else.
  using awaits = std::function<bool(const frame&)>;
  /// Takes the frame that was waited for; the payload is valid during the call only.
  using taker = std::function<void(const frame&)>;

  /// What a reader has left to the owner: plain text, from the first byte of a frame on, and why
  /// no more of it can be made of the connection's bytes.
  struct rest {
    std::vector<std::byte> bytes;
    caf::error broken;
    bool is_over = false; ///< The loan has ended; otherwise the owner calls `go_on`.
  };

  /// `wake` tells the owner that there is something for it: to lend, or to take back. `filter`
  /// decrypts; null for none.
  reading_loan(std::shared_ptr<tls_filter> filter, std::size_t frame_bytes_max,
               std::function<void()> wake);

  /// The turn of one reader, which ends with it at the latest. Made before the question is sent:
  /// else the answer may come first, and wake the owner. Can be moved; ends before the loan does.
  class turn;

  /// Begins a turn, or one that begins with the end of the owner's. None where the reading is not
  /// lent (who asks for it makes the owner lend it) or another thread reads.
  turn begin();

  /// Reads in the calling thread until the frame that it `awaits` is taken, or something else
  /// comes, or `until`; not longer than some milliseconds after the turn's begin. Returns whether
  /// the frame was taken. Does nothing without a turn.
  bool read(turn own, const awaits& mine, const taker& take, clock::time_point until);

  // -- for the owner

  /// Returns, once for each time that callers ask, whether the reading should be lent.
  bool take_wish() noexcept;

  /// Lends the reading: `from` is at the first byte of a frame.
  void lend(std::unique_ptr<inlet> from);

  /// Returns whether a reader has left something.
  bool is_given_back() const;

  /// Returns what a reader has left, and what else has come, to about 256 KiB: of more the owner is
  /// told again. Nobody else reads until `go_on`. Nothing where it is not lent, or a thread is
  /// reading.
  std::optional<rest> take_turn();

  /// Ends the owner's turn: what came in it has been dealt with.
  void go_on();

  /// Ends the loan under the hands of a thread that has been at it for too long: one that does not
  /// get the processor must not keep the others from what comes.
  std::optional<rest> take_back_late(clock::time_point now);

  /// Ends it for good.
  void close() noexcept;

private:
  using lock = std::unique_lock<std::mutex>;

  bool find(inlet& from, std::optional<frame>& found);
  bool fetch(inlet& from);
  void taken(std::size_t bytes);
  void end(std::uint64_t number);
  std::span<const std::byte> unread() const noexcept;
  bool is_whole() const;
  rest leave_to_owner(bool is_over);

  const std::shared_ptr<tls_filter> filter_;
  const std::size_t frame_bytes_max_;
  const std::function<void()> wake_;
  std::atomic<bool> lent_{false}; // a hint, for those that only ask
  std::atomic<bool> wanted_{false};
  std::atomic<int> wishes_left_{1}; // until the owner is asked
  mutable std::mutex mutex_;
  std::shared_ptr<inlet> inlet_;  // guarded by mutex_; null where it is not lent
  std::uint64_t last_number_ = 0; // guarded by mutex_; of a reader's turn, never 0
  std::uint64_t number_ = 0;      // guarded by mutex_; of the reader at its turn, 0 for none
  std::uint64_t next_ = 0;        // guarded by mutex_; of who has its turn after the owner's
  bool reading_ = false;          // guarded by mutex_; somebody has a turn
  bool owners_ = false;           // guarded by mutex_; and that is the owner
  bool handing_ = false;          // guarded by mutex_; a reader is at its frame
  bool given_back_ = false;       // guarded by mutex_; the owner is to take it back
  bool ended_ = false;            // guarded by mutex_; nothing more can be read
  bool closed_ = false;           // guarded by mutex_
  clock::time_point until_{};     // guarded by mutex_; of the turn
  int idle_turns_ = 0;            // guarded by mutex_; the owner's since the last read
  std::vector<char> bytes_;       // guarded by mutex_; what was read, and room behind it
  std::size_t read_bytes_ = 0;    // guarded by mutex_; from the first byte of a frame on
  std::vector<char> cipher_;      // guarded by mutex_; scratch
  caf::error broken_;             // guarded by mutex_
};

class reading_loan::turn {
public:
  turn() noexcept = default;
  turn(turn&& other) noexcept
      : of_(std::exchange(other.of_, nullptr)), from_(std::move(other.from_)),
        number_(other.number_), until_(other.until_) {}
  turn& operator=(turn&& other) noexcept {
    std::swap(of_, other.of_);
    std::swap(from_, other.from_);
    std::swap(number_, other.number_);
    std::swap(until_, other.until_);
    return *this;
  }
  ~turn() {
    if (of_ != nullptr)
      of_->end(number_);
  }

  explicit operator bool() const noexcept { return of_ != nullptr; }

private:
  friend class reading_loan;

  turn(reading_loan* of, std::shared_ptr<inlet> from, std::uint64_t number, clock::time_point until)
      : of_(of), from_(std::move(from)), number_(number), until_(until) {}

  reading_loan* of_ = nullptr;
  std::shared_ptr<inlet> from_; // stays open while it is waited for
  std::uint64_t number_ = 0;
  clock::time_point until_{};
};

} // namespace fly::cluster
