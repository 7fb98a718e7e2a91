#include "fly/actors/backoff.hpp"

#include <algorithm>

namespace fly::actors {

namespace {

backoff_options brought_inside(backoff_options options) {
  options.first = std::max(options.first, std::chrono::milliseconds{1});
  options.max = std::max(options.max, options.first);
  if (!(options.factor >= 1.0)) // nor what is no number
    options.factor = 1.0;
  return options;
}

} // namespace

backoff::backoff(backoff_options options, std::uint64_t seed)
    : options_(brought_inside(options)), bound_ms_(static_cast<double>(options_.first.count())),
      random_(seed) {}

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
