#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <span>
#include <string>

namespace fly::local {

/// How a direction of a connection ends: with a FIN, after which the other one goes on, or with a
/// RST, which ends both.
enum class ending { half_close, reset };

/// Bytes under way in one direction: what goes in comes out later, in order, and the end last. A
/// pure value: the times come in.
class delay_line {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// Holds at most `bytes_max` bytes and whatever the last `push` went beyond.
  explicit delay_line(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  /// Returns whether there is room and no end has come in.
  bool takes() const noexcept { return !end_ && bytes_ < bytes_max_; }

  /// Takes bytes that may come out at `due`, or when those before them may, whichever is later.
  void push(std::span<const char> bytes, time_point due);

  /// Takes the end, which comes out at `due` at the earliest. A reset overtakes nothing either.
  /// Only the first end counts.
  void end(ending how, time_point due);

  /// Returns the first bytes that may come out now; empty where there are none.
  std::span<const char> ready(time_point now) const;

  /// Takes the first `count` bytes of `ready` out.
  void pop(std::size_t count);

  /// Returns the end once everything before it is out and its time has come.
  std::optional<ending> ended(time_point now) const;

  /// Returns when the next bytes, or the end, may come out; nothing where none waits.
  std::optional<time_point> next() const;

  /// Returns the number of bytes under way.
  std::size_t bytes() const noexcept { return bytes_; }

private:
  struct chunk {
    time_point due;
    std::string bytes; // not empty
  };

  time_point in_order(time_point due);

  std::size_t bytes_max_;
  std::deque<chunk> chunks_;
  std::size_t done_ = 0;  // bytes of the first chunk that are out
  std::size_t bytes_ = 0; // of all chunks, without `done_`
  std::optional<ending> end_;
  time_point end_due_{};
  time_point last_due_{};
};

} // namespace fly::local
