#pragma once

#include <chrono>
#include <cstdint>
#include <random>
#include <string>
#include <variant>
#include <vector>

#include "apps/local/fault.hpp"

namespace fly::local {

/// What a nemesis has before it.
struct nemesis_options {
  /// All regions, those of them with a database, and that of the primary.
  std::vector<std::string> regions{};
  std::vector<std::string> databases{};
  std::string primary{};
  /// The kinds of faults that it does, of `nemesis_kinds`; empty: all that are possible.
  std::vector<std::string> kinds{};
  std::uint64_t seed = 0;

  /// Returns what is wrong with `kinds`: one that does not exist, or that is not possible with
  /// these regions; "" where nothing is.
  std::string problem() const;
};

/// Returns all kinds: "kill-node", "cut-one-way", "promote" ...
const std::vector<std::string>& nemesis_kinds();

/// Begin a fault, end some, or let time pass.
using nemesis_act = std::variant<fault, fault_choice, std::chrono::milliseconds>;

/// Chooses faults, one after the other: every kind once, in an order of its own, then again in
/// another one. What comes depends on the options alone. A pure value.
class nemesis_plan {
public:
  /// `options` have no problem.
  explicit nemesis_plan(nemesis_options options);

  /// Returns the next fault: its beginning, its time, its end, and a pause for the users to recover
  /// in. Whoever does all of it is left with a cluster that is whole.
  std::vector<nemesis_act> next();

private:
  std::size_t below(std::size_t count) { return random_() % count; }
  std::chrono::milliseconds between(int least_ms, int most_ms);
  const std::string& any_of(const std::vector<std::string>& regions);
  std::vector<nemesis_act> of_part(const std::string& kind);
  std::vector<nemesis_act> of_network(const std::string& kind);
  std::vector<nemesis_act> promotion();

  nemesis_options options_;
  std::minstd_rand random_;
  std::vector<std::string> round_; // what is left of it, the next one last
};

} // namespace fly::local
