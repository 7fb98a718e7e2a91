#pragma once

#include <chrono>
#include <cstdint>
#include <random>

namespace fly::actors {

/// Bounds of a `backoff`; values outside of theirs are brought inside.
struct backoff_options {
  /// Upper bound of the first delay, more than 0.
  std::chrono::milliseconds first{100};
  /// Upper bound of every delay, at least `first`.
  std::chrono::milliseconds max{10'000};
  /// What the bound is multiplied with after each failure, at least 1.
  double factor = 2.0;
};

/// Computes the delay before the next attempt: exponential, with "equal jitter" (a uniform value
/// between half of the current bound and the bound), so that a crowd that failed together does not
/// come back together. A pure value: the seed alone decides the sequence. Not safe to share between
/// threads.
class backoff {
public:
  explicit backoff(backoff_options options, std::uint64_t seed);

  /// Returns the next delay and raises the bound, up to `backoff_options::max`.
  std::chrono::milliseconds next();

  /// Starts over with the first bound: call it after a success.
  void reset() noexcept;

private:
  backoff_options options_;
  double bound_ms_;
  std::mt19937_64 random_;
};

} // namespace fly::actors
