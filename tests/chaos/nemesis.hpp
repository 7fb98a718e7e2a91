#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "tests/chaos/world.hpp"

namespace fly::chaos {

/// What a fault may need.
struct hurt {
  world& it;
  std::minstd_rand& random;

  std::size_t below(std::size_t count) { return random() % count; }
  bool chance(unsigned percent) { return random() % 100 < percent; }
  milliseconds between(int least_ms, int most_ms) {
    return milliseconds{least_ms +
                        static_cast<int>(random() % static_cast<unsigned>(most_ms - least_ms + 1))};
  }
  /// A machine, more often one of the primary's region.
  machine& any_machine();
};

/// One kind of fault: begins it, lets time pass, ends it, and notes both.
struct fault {
  const char* kind;
  void (*run)(hurt& to);
};

/// All kinds.
const std::vector<fault>& all_faults();

/// Does faults one after the other, every kind once in an order of its own, then again, until
/// `seconds` have passed; `tell` hears of each. What is done depends on the seed alone.
void run_nemesis(world& it, std::uint64_t seed, std::chrono::seconds seconds,
                 const std::string& only, const std::function<void(const std::string&)>& tell);

} // namespace fly::chaos
