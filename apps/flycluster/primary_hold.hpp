#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include <caf/error.hpp>
#include <caf/expected.hpp>

#include "apps/flycluster/commands.hpp"
#include "fly/repo/position.hpp"
#include "fly/repo/primary_move.hpp"

namespace fly::apps {

/// Holds the writes of the primary group while it moves, and those of who joins it meanwhile. It
/// ends by itself, `longest` after it was last renewed. `begin` and `renew` by one thread.
class primary_hold {
public:
  /// `here` outlives it. `witness` is who else knows of the group: a member of the new region.
  primary_hold(const visit& here, rpc::primary_report before, std::string witness,
               std::chrono::milliseconds longest);

  /// Ends what `keep` began; holds go on.
  ~primary_hold();

  primary_hold(const primary_hold&) = delete;
  primary_hold& operator=(const primary_hold&) = delete;

  /// Holds writes at each member of the group. Returns how far the log is then: all writes of fly
  /// that were committed are before. Errors: those of a member that cannot; errc::timeout, nobody
  /// could hold the commits in time.
  caf::expected<repo::position> begin();

  /// Holds them for longer, and at those who have joined. Errors: errc::outcome_unknown, for a
  /// while nobody held the commits; what was written then is not before the position of `begin`.
  caf::error renew();

  /// Renews it every second from now on, in a thread of its own, until `stop`.
  void keep();

  /// Ends `keep`. Returns what went wrong meanwhile, as `renew` does.
  caf::error stop();

  /// Lets writes go on where they were. After `stop`.
  void let_go();

private:
  /// What one round of asking has found.
  struct round {
    repo::position where{}; ///< Of who holds the commits; no system where nobody does.
    bool any = false;       ///< Somebody holds them or waits for that.
    bool kept = false;      ///< One of these did already in the round before.
    std::string missing{};  ///< Why a member does not hold its writes; empty where all do.
  };

  void find_newcomers();
  round ask_all(std::chrono::milliseconds patience);

  const visit& here_;
  const rpc::primary_report before_;
  const std::string witness_;
  const std::chrono::milliseconds longest_;
  std::set<std::string> ids_;
  std::thread keeper_;
  std::mutex mutex_;
  std::condition_variable over_;
  bool stopping_ = false; // guarded by mutex_
  caf::error broken_;     // of the thread, until it has ended
};

} // namespace fly::apps
