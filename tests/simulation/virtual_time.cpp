#include "tests/simulation/virtual_time.hpp"

#include <algorithm>
#include <ctime>
#include <random>

#include "tests/simulation/random.hpp"

namespace fly::simulation {

namespace {

// The clocks begin here, so that no time that counts is at or before a clock's epoch.
constexpr std::chrono::nanoseconds steady_begin = std::chrono::hours{24};
constexpr std::chrono::nanoseconds wall_begin = std::chrono::hours{24 * 365 * 50};
constexpr std::int64_t million = 1'000'000;

moment now_value{0};
const machine_clock* shown_clock = nullptr;
random_source device{0};

double seconds_of(clockid_t which) noexcept {
  timespec time{};
  ::clock_gettime(which, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

} // namespace

machine_clock::steady machine_clock::steady_at(moment now) const noexcept {
  auto passed = (now - anchor_) * (million + parts_per_million_) / million;
  return steady{steady_begin + shown_ + passed};
}

machine_clock::wall machine_clock::wall_at(moment now) const noexcept {
  auto passed = steady_at(now).time_since_epoch() - steady_begin;
  return wall{std::chrono::duration_cast<wall::duration>(wall_begin + passed + offset_)};
}

moment machine_clock::when(steady shown, moment now) const noexcept {
  auto left = shown - steady_at(now);
  if (left <= left.zero())
    return now;
  if (left > std::chrono::hours{1})
    left = std::chrono::hours{1};
  return now + left * million / (million + parts_per_million_) + std::chrono::nanoseconds{1};
}

void machine_clock::drift(std::int64_t parts_per_million, moment now) noexcept {
  shown_ = steady_at(now).time_since_epoch() - steady_begin;
  anchor_ = now;
  parts_per_million_ = parts_per_million;
}

moment now() noexcept {
  return now_value;
}

void set_now(moment when) noexcept {
  now_value = when;
}

clock_scope::clock_scope(const machine_clock* clock) noexcept : before_(shown_clock) {
  shown_clock = clock;
}

clock_scope::~clock_scope() {
  shown_clock = before_;
}

void seed_random_device(std::uint64_t seed) noexcept {
  device = random_source{seed};
}

double real_seconds() noexcept {
  return seconds_of(CLOCK_MONOTONIC);
}

double processor_seconds() noexcept {
  return seconds_of(CLOCK_PROCESS_CPUTIME_ID);
}

} // namespace fly::simulation

// -- in the place of the library's own
// ----------------------------------------------------------------

namespace sim = fly::simulation;

std::chrono::steady_clock::time_point std::chrono::steady_clock::now() noexcept {
  static const sim::machine_clock true_clock;
  return (sim::shown_clock != nullptr ? *sim::shown_clock : true_clock).steady_at(sim::now_value);
}

std::chrono::system_clock::time_point std::chrono::system_clock::now() noexcept {
  static const sim::machine_clock true_clock;
  return (sim::shown_clock != nullptr ? *sim::shown_clock : true_clock).wall_at(sim::now_value);
}

std::random_device::result_type std::random_device::_M_getval() {
  return static_cast<result_type>(sim::device.next());
}
