#include "fly/actors/backoff.hpp"

#include <algorithm>
#include <cassert>

namespace fly::actors {

backoff::backoff(backoff_options options, std::uint64_t seed)
    : options_(options), bound_ms_(static_cast<double>(options.first.count())), random_(seed) {
  assert(options.first.count() > 0);
  assert(options.max >= options.first);
  assert(options.factor >= 1.0);
}

std::chrono::milliseconds backoff::next() {
  std::uniform_real_distribution<double> jitter{bound_ms_ / 2, bound_ms_};
  auto delay = static_cast<std::int64_t>(jitter(random_));
  bound_ms_ = std::min(bound_ms_ * options_.factor, static_cast<double>(options_.max.count()));
  return std::chrono::milliseconds{std::max<std::int64_t>(delay, 1)};
}

void backoff::reset() noexcept {
  bound_ms_ = static_cast<double>(options_.first.count());
}

} // namespace fly::actors
