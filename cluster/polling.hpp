#pragma once

#include <chrono>
#include <cstddef>

namespace fly::cluster {

/// Decides when an I/O thread looks for work again and again instead of sleeping until there is
/// some (adaptive busy polling). That pays where both ends of a link have a core each: to wake a
/// sleeping thread on another core takes longer than the work of a batch. It is tried after a batch
/// alone, so that a caller who waits for each answer costs nobody a core; it ends as soon as
/// another thread wants the processor; and where it was in vain it is tried less often (exponential
/// backoff). Pure: knows neither clock nor loop.
class polling {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// So many frames of one read are a batch.
  static constexpr std::size_t batch_frames_min = 8;

  /// An offer of the processor that took so long was taken by another thread.
  static constexpr std::chrono::microseconds offer_max{3};

  /// Most batches after which it is not tried, once it has been in vain often enough.
  static constexpr std::size_t left_out_max = 1000;

  /// Polls for `longest` after a batch; never where that is 0.
  explicit polling(std::chrono::microseconds longest) noexcept : longest_(longest) {}

  /// Says that `frames` were read at once, and that what they asked for was done at `now`.
  void on_read(std::size_t frames, time_point now) noexcept;

  /// Says that the loop has found nothing but, perhaps, less than a batch, and that it offered the
  /// processor to others from `offered` until `now`.
  void on_offer(time_point offered, time_point now) noexcept;

  /// Returns whether the loop must not sleep.
  bool is_on() const noexcept { return on_; }

  /// Returns whether it polls, or would after a batch: whether the other side can be expected to
  /// work at the same time.
  bool is_tried() const noexcept { return on_ || (longest_.count() > 0 && to_leave_out_ == 0); }

private:
  const std::chrono::microseconds longest_;
  bool on_ = false;
  time_point last_{};            // a batch was done with, while it is on
  std::size_t left_out_ = 0;     // after the next time in vain; <= left_out_max
  std::size_t to_leave_out_ = 0; // batches from now on; <= left_out_
};

} // namespace fly::cluster
