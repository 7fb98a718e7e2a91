#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <caf/error.hpp>

#include "fly/cluster/claim.hpp"
#include "fly/repo/committed.hpp"
#include "fly/repo/position.hpp"
#include "tests/simulation/postgres.hpp"

namespace fly::simulation {

class world;

/// How often what came of the users' operations.
struct tallies {
  std::uint64_t writes = 0;
  std::uint64_t acknowledged = 0;
  std::uint64_t unknown = 0;
  std::uint64_t nothing_ran = 0;
  std::uint64_t visible = 0;
  std::uint64_t repeated = 0;
  std::uint64_t leader_commits = 0;
  /// Acknowledged, and past the switch point of an asynchronous promotion.
  std::uint64_t lost_at_promotion = 0;
  std::uint64_t calls = 0;
  std::uint64_t answers = 0;
  std::uint64_t promotions = 0;

  tallies& operator+=(const tallies& other) noexcept;
};

/// What users asked for and were told, and what the servers did: looks at each step whether a rule
/// is broken.
class history {
public:
  explicit history(world& all) : world_(all) {}

  // -- what users do
  /// Notes a write that begins on `where`, to end by its clock at `deadline`. Returns its number.
  std::uint64_t begin(machine& where, machine_clock::steady deadline, bool keyed, bool on_leader);
  /// Notes that its caller was told it is committed.
  void acknowledged(std::uint64_t number, const repo::commit_report& report);
  /// Notes that its caller was told an error.
  void failed(std::uint64_t number, const caf::error& reason);
  /// Forgets what a machine that has crashed was waiting for.
  void crashed(const machine& where);

  // -- what servers do
  /// Notes a commit of a user's write, in the epoch of a leader or none.
  void committed(std::uint64_t number, postgres& at, const repo::position& where,
                 const cluster::epoch& turn, const std::string& by);

  // -- the rules
  /// Looks for operations that are over their time.
  void check_deadlines();
  /// Looks for writes that are not where they should be, once all is well.
  void check_end(postgres_cluster& servers);

  tallies counts{};

private:
  struct operation {
    machine* where = nullptr;
    machine_clock::steady deadline{};
    moment begun{0};
    bool keyed = false;
    bool on_leader = false;
    bool over = false;
    bool is_acknowledged = false;
    bool nothing_ran = false;
    repo::position at{};
  };
  /// Where the record of a commit is, on the timeline where it was made.
  struct commit_place {
    std::uint32_t timeline = 0;
    std::uint64_t end = 0;
    moment at{0};
  };

  operation* find(std::uint64_t number, const char* what);
  bool past_switch(const postgres_cluster& servers, const commit_place& where) const;
  void check_seen(std::uint64_t number, const operation& what, const repo::commit_report& told);

  world& world_;
  std::map<std::uint64_t, operation> all_;
  std::map<std::uint64_t, operation*> under_way_;
  std::map<std::uint64_t, std::vector<commit_place>> commits_; // by operation
  std::map<cluster::epoch, std::string> leaders_;
  std::uint64_t last_ = 0;
};

} // namespace fly::simulation
