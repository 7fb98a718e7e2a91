#pragma once

#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace fly::simulation {

/// Random numbers that are the same on every machine: splitmix64. A value.
class random_source {
public:
  explicit random_source(std::uint64_t seed) noexcept : state_(seed) {}

  /// Returns the next number, uniform over 64 bits.
  std::uint64_t next() noexcept {
    auto x = state_ += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
  }

  /// Returns a number below `bound`, which is not 0.
  std::uint64_t below(std::uint64_t bound) noexcept {
    assert(bound > 0);
    return next() % bound;
  }

  /// Returns a number from `least` to `most`, both included.
  std::int64_t between(std::int64_t least, std::int64_t most) noexcept {
    assert(least <= most);
    return least + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(most - least) + 1));
  }

  /// Returns a time from `least` to `most`, in steps of a microsecond.
  std::chrono::nanoseconds time(std::chrono::microseconds least, std::chrono::microseconds most) {
    return std::chrono::microseconds{between(least.count(), most.count())};
  }

  /// Returns true `percent` times of a hundred.
  bool percent(std::uint64_t percent) noexcept { return below(100) < percent; }

  /// Returns one of `all`, which is not empty.
  template <class T>
  const T& one_of(const std::vector<T>& all) noexcept {
    return all[below(all.size())];
  }

private:
  std::uint64_t state_;
};

} // namespace fly::simulation
