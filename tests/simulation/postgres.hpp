#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "fly/cluster/claim.hpp"
#include "fly/repo/ledger.hpp"
#include "fly/repo/position.hpp"
#include "fly/repo/timeline_history.hpp"
#include "tests/simulation/network.hpp"
#include "tests/simulation/random.hpp"
#include "tests/simulation/schedule.hpp"

namespace fly::simulation {

class world;

/// What is in a database, as far as the rules look at it.
struct tables {
  struct ledger_row {
    repo::keyed_write what;
    std::uint64_t xid = 0;
    std::uint32_t timeline = 0;
  };
  std::map<std::string, ledger_row> ledger{};
  cluster::epoch epoch{};
  std::string lease_holder{};
  std::uint64_t lease_run = 0;
  moment lease_expires{-1};
  std::map<std::uint32_t, repo::timeline_start> timelines{};
  /// What the users' writes did: how often each was done.
  std::map<std::uint64_t, int> orders{};
  std::set<std::uint64_t> xids{};
};

/// One transaction in the log; all replicas share it.
struct log_record {
  std::uint32_t timeline = 0;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::uint64_t xid = 0;    // 0 for none
  std::uint64_t number = 0; // of the user's write; 0 for none
  std::function<void(tables&)> apply{};
};

/// A database server: a primary with row locks and a log, or a replica that replays it late.
class postgres {
public:
  static constexpr std::uint64_t system = 7'412'345'678'901'234'567;

  postgres(world& all, std::string region, std::size_t index, bool primary);

  // -- what sessions do; at the server, in no time
  bool in_recovery() const noexcept { return in_recovery_; }
  std::uint32_t timeline() const noexcept { return timeline_; }
  std::int64_t started_us() const noexcept { return started_us_; }
  /// Flush position of a primary, replay position of a replica.
  repo::lsn reached() const noexcept;
  /// Where replay has ended; nothing on a server that has not replayed since its start.
  std::optional<repo::lsn> replayed() const noexcept { return replayed_; }
  tables& rows() noexcept { return rows_; }
  std::uint64_t assign_xid() noexcept { return ++last_xid_; }
  /// Takes a lock until `unlock`; false where another has it.
  bool lock(const std::string& what, std::uint64_t owner);
  void unlock(std::uint64_t owner);
  /// Writes a transaction into the log and makes it visible here.
  repo::position commit(std::uint64_t xid, std::function<void(tables&)> apply,
                        std::uint64_t number = 0);

  // -- what befalls it
  /// Whether it answers at all.
  bool is_up() const noexcept { return host_.powered; }
  machine& host() noexcept { return host_; }
  /// Ends all sessions and what they have not committed.
  void crash();
  void restart();
  /// Begins the timeline `fresh`.
  void promote(std::uint32_t fresh);
  /// Becomes a replica with a copy of what `source` has.
  void rebuild(const postgres& source);
  /// Returns whether it can replay the log of `source`.
  bool follows(const postgres& source) const;
  /// Replays what has come from `source`, as far as it may.
  void replay_from(const postgres& source, std::size_t records_max);

  /// Returns when what the user's write `number` did came to be here.
  moment applied_at(std::uint64_t number) const;

  const std::vector<std::shared_ptr<const log_record>>& log() const noexcept { return log_; }
  const std::string& region() const noexcept { return host_.region; }

  /// When it last stood still, was away or did not replay.
  moment disturbed{0};
  /// When its timeline, or what it knows of timelines, last changed.
  moment history_changed{0};
  /// When it last was given other data.
  moment rebuilt = -std::chrono::hours{1};
  /// How far its wall clock is off.
  moment clock_offset{0};
  /// Until when it replays nothing.
  moment stalled_until{0};

private:
  void append(std::shared_ptr<const log_record> what);

  world& world_;
  machine host_;
  bool in_recovery_;
  std::uint32_t timeline_ = 1;
  std::int64_t started_us_ = 0;
  std::uint64_t flush_ = 0x1000;
  std::uint64_t last_xid_ = 700;
  std::optional<repo::lsn> replayed_;
  tables rows_;
  std::vector<std::shared_ptr<const log_record>> log_;
  std::map<std::string, std::uint64_t> locks_;
  std::map<std::uint64_t, moment> applied_; // by the user's write
};

/// The servers of all regions, and which follows which.
class postgres_cluster {
public:
  postgres_cluster(world& all, const std::vector<std::string>& regions);

  postgres& of(std::string_view region);
  std::vector<std::unique_ptr<postgres>>& all() noexcept { return servers_; }

  /// Returns the server that was promoted last.
  postgres& primary() noexcept { return *servers_[primary_]; }

  /// Promotes the server of `region`: the others follow it where their data allows.
  void promote(std::string_view region);

  /// Where each timeline began, as it really was.
  const std::map<std::uint32_t, repo::timeline_start>& switches() const noexcept {
    return switches_;
  }

private:
  void replicate(std::size_t which);

  world& world_;
  std::vector<std::unique_ptr<postgres>> servers_;
  std::size_t primary_ = 0;
  std::uint32_t last_timeline_ = 1;
  std::map<std::uint32_t, repo::timeline_start> switches_;
};

} // namespace fly::simulation
