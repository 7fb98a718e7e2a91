#pragma once

#include <future>
#include <string>
#include <vector>

#include "tests/faults/lab.hpp"
#include "tests/faults/report.hpp"

/// The faults, one function each: hurts the lab, looks at what the others notice and how they heal,
/// and leaves the lab well.
namespace fly::faults {

/// Most that a machine with little time may add to a figure; the deadline's is separate.
struct patience {
  milliseconds slack{100};    ///< Beyond silence_max + one heartbeat, and beyond a call's deadline.
  milliseconds seconds{3000}; ///< How long a fault under load lasts.
};

row node_killed(lab& it, const patience& limits);
row node_started_again(lab& it, const patience& limits);
row node_frozen(lab& it, const patience& limits);
row node_leaves(lab& it, const patience& limits);
row leader_killed(lab& it, const patience& limits);
row leader_frozen(lab& it, const patience& limits);
row start_order(lab& it, const patience& limits);

row database_down(lab& it, const patience& limits);
row database_frozen(lab& it, const patience& limits);
row database_rebuilt(lab& it, const patience& limits);
row primary_database_restarted(lab& it, const patience& limits);

row dns_silent(lab& it, const patience& limits);
row dns_wrong(lab& it, const patience& limits);
row dns_old(lab& it, const patience& limits);

row frozen_under_load(lab& it, const patience& limits);

/// 16 threads call for `limits.seconds` while a second primary node joins, one is killed, one is
/// frozen and thawed.
row storm(lab& it, const patience& limits, unsigned seed);

struct once_options {
  std::size_t writes = 500;
  /// Kills and restarts the nodes of the primary meanwhile.
  bool kills = false;
};

/// Writes with a key, each asked for from two nodes; a tenth of the first calls do not wait for
/// their answer. Expects exactly one effect of each, and the same result for both.
row once(lab& it, const once_options& given, unsigned seed);

/// `requests` writes and reads by users that move between three regions at each of them with only a
/// cookie, while the replicas are late. Expects no read that is older than the user's last write or
/// goes back in time; and without the cookie some that do. Has nodes and databases of its own.
row moving(std::size_t requests, unsigned seed);

/// A call of the caller: to the primary group, to one member, a write, a write that is waited for.
load::call call_primary(lab& it);
load::call call_member(lab& it, std::string id);
load::call call_region(lab& it, std::string region);
load::call write_row(lab& it);
load::call write_and_wait(lab& it);

/// Calls `slow` of a member `count` times at once, each in a thread; returns the errors (empty for
/// an answer) through `get()`, in no longer than `timeout`.
class slow_calls {
public:
  slow_calls(lab& it, const std::string& id, std::size_t count, milliseconds takes,
             milliseconds timeout = 30s);

  /// Waits until all of them run there.
  bool running() const;
  /// Waits for all. Returns how each ended.
  std::vector<caf::error> get();

private:
  lab& lab_;
  std::string id_;
  std::vector<std::future<caf::error>> answers_;
};

/// Returns the counts as text, "ok 120, timeout 2".
std::string text_of(const std::map<std::string, std::size_t>& counts);

} // namespace fly::faults
