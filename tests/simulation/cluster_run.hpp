#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/simulation/history.hpp"
#include "tests/simulation/postgres.hpp"
#include "tests/simulation/program.hpp"
#include "tests/simulation/world.hpp"

namespace fly::simulation {

/// What a run has come to.
struct run_result {
  /// The rule that was broken; empty for none.
  std::string violation{};
  std::uint64_t hash = 0;
  std::uint64_t events = 0;
  /// How long the members took to agree once all faults were over.
  moment agreed{0};
  tallies counts{};
  std::vector<std::string> lines{};
};

/// One cluster, and what befalls it: everything follows from the seed.
class cluster_run {
public:
  cluster_run(std::uint64_t seed, bool keep_trace);
  ~cluster_run();

  cluster_run(const cluster_run&) = delete;
  cluster_run& operator=(const cluster_run&) = delete;

  /// Runs it to its end.
  run_result run();

  // -- what befalls it
  std::vector<std::unique_ptr<machine>>& machines() noexcept { return machines_; }
  bool runs(const machine& who) const noexcept { return programs_[who.index] != nullptr; }
  bool leaves(const machine& who) const noexcept { return leaving_[who.index]; }
  /// Starts a process there, of the given version of the application.
  void start(machine& who, const std::string& version);
  /// Ends the process, with all that it has; the others hear of it where `told`.
  void crash(machine& who, bool told);
  /// Lets the process leave in order, and then starts another one.
  void deploy(machine& who, const std::string& version);

  world& all() noexcept { return world_; }
  postgres_cluster& databases() noexcept { return databases_; }
  history& told() noexcept { return told_; }
  const shape& common() const noexcept { return shape_; }

private:
  static shape shape_of(random_source& random);
  void make_machines();
  void go_on(moment until);
  moment settle();

  void check_step(program& who);
  bool agrees();
  bool sees_all(program& who);
  bool sees_primary(program& who);
  void end_users();
  std::string disagreement();
  moment agree_max() const;

  world world_;
  const shape shape_;
  postgres_cluster databases_;
  history told_;
  std::vector<std::unique_ptr<machine>> machines_;
  std::vector<std::unique_ptr<program>> programs_; // by machine; null where none runs
  std::vector<bool> leaving_;
  std::uint64_t events_ = 0;
};

} // namespace fly::simulation
