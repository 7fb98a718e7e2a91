#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/simulation/fiber.hpp"
#include "tests/simulation/network.hpp"
#include "tests/simulation/postgres.hpp"
#include "tests/simulation/random.hpp"
#include "tests/simulation/schedule.hpp"
#include "tests/simulation/trace.hpp"

namespace fly::simulation {

/// All that simulated programs stand on. There is one at a time: what stands in the place of a
/// library's own parts has no other way to it.
class world {
public:
  world(std::uint64_t seed, bool keep_trace)
      : random(seed), log(keep_trace), net(when, random_source{seed ^ 0x6e6574}), threads(when) {
    seed_random_device(seed);
    set_now(moment{0});
    present_ = this;
  }
  ~world() { present_ = nullptr; }

  world(const world&) = delete;
  world& operator=(const world&) = delete;

  /// Returns the one that is there.
  static world& present() noexcept { return *present_; }

  /// Notes a broken rule; the first one counts.
  void violate(std::string what) {
    log.add("FAILED", what);
    if (violation.empty())
      violation = std::move(what);
  }

  random_source random;
  trace log;
  schedule when;
  network net;
  fibers threads;
  /// What the name server answers for the cluster: numeric addresses; empty for no answer.
  std::vector<std::string> names{};
  /// The database servers; null where there are none.
  postgres_cluster* databases = nullptr;
  /// The first rule that was broken; empty for none.
  std::string violation{};

private:
  static inline world* present_ = nullptr;
};

} // namespace fly::simulation
