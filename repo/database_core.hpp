#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <caf/error.hpp>
#include <caf/fwd.hpp>

#include "fly/cluster/claim.hpp"
#include "fly/repo/commit_hold.hpp"
#include "fly/repo/connection_pool.hpp"
#include "fly/repo/driver_seat.hpp"
#include "fly/repo/key_sweeper.hpp"
#include "fly/repo/leadership.hpp"
#include "fly/repo/lsn_tracker.hpp"
#include "fly/repo/options.hpp"
#include "fly/repo/primary_move.hpp"
#include "fly/repo/role_board.hpp"
#include "fly/repo/transaction_runner.hpp"
#include "fly/repo/wait_alarm.hpp"
#include "fly/repo/write_gate.hpp"
#include "fly/rpc/call.hpp"

namespace fly::cluster {
class node;
struct primary_state;
} // namespace fly::cluster

namespace fly::repo {

struct expected_server;
struct one_statement;
/// Returns what a node says of its database.
cluster::claim to_claim(const role_report& report);

/// All that a database is, but for its actors: outlives them, and what runs while it closes. Safe
/// from any thread.
class database_core {
public:
  /// Announces the role of the database through `node` until `close`, where it has no name. Where
  /// `refused` is an error, it is what `unusable` says.
  database_core(cluster::node& node, const options& settings, const caf::error& refused = {});

  /// Runs the write `name` for the caller of `context` and returns the encoded answer
  /// (write_reply.hpp); with `once`, once for its key. One of the leader runs only while this node
  /// holds the lease, and is committed only if it has held it without a break. Errors: as
  /// `transaction_runner::run_write`; errc::not_primary, errc::not_leader.
  caf::expected<rpc::bytes> run_write(const rpc::call_context& context, const std::string& name,
                                      const transaction_runner::write_body& body, bool on_leader,
                                      const keyed_write* once = nullptr);

  /// The same for a write of one statement, in one round trip; nothing where it is to be run by
  /// `run_write`. Errors: as `run_write` and `transaction_runner::run_one`.
  std::optional<caf::expected<rpc::bytes>> run_one(const rpc::call_context& context,
                                                   const std::string& name,
                                                   const one_statement& what,
                                                   const keyed_write* once);

  /// Holds writes back for a move of the primary, or ends that (0 ms); see `hold_writes`.
  hold_report hold(std::chrono::milliseconds longest, std::uint32_t timeline);

  /// Waits until this node has seen to fly's own tables, or could not; until `deadline` at most.
  /// Returns whether it has tried. The first keyed write of a new database may come before.
  bool wait_prepared(std::chrono::steady_clock::time_point deadline);

  /// Does what is due: a fresh look at the role. Blocks.
  void keep();

  /// Returns when there is something to do for `keep`: in the past where it should look often. The
  /// board wakes who waits for that (`role_board::wake_by`).
  std::chrono::steady_clock::time_point keep_due();

  /// Hands the lease over, ends all waits, closes the pool, announces nothing any more. Idempotent.
  void close();

  /// Why nothing works, for options that cannot be used; empty otherwise.
  const caf::error& unusable() const noexcept { return unusable_; }
  transaction_runner& runner() noexcept { return runner_; }
  connection_pool& pool() noexcept { return sandbox_ ? *sandbox_ : pool_; }
  const std::string& name() const noexcept { return name_; }

  /// Whether fly.timeline can be read, as reads have found out.
  bool tells_timelines() const noexcept { return tells_timelines_; }
  void tells_timelines(bool now) noexcept { tells_timelines_ = now; }

  cluster::node& node() const noexcept { return node_; }
  bool in_sandbox() const noexcept { return sandbox_ != nullptr; }
  role_board& roles() noexcept { return *roles_; }
  leadership& leading() noexcept { return *leading_; }
  const std::shared_ptr<lsn_tracker>& tracker() const noexcept { return tracker_; }
  wait_alarm& alarm() noexcept { return alarm_; }
  const std::shared_ptr<driver_seat>& seat() const noexcept { return seat_; }

private:
  database_core(cluster::node& node, const options& settings, caf::expected<std::string> url);
  void announce(const role_report& report);
  void prepare(pq_link& link, const server_identity& server);
  caf::error left_behind(const cluster::primary_state& now) const;
  caf::expected<expected_server> wanted_of(const server_identity& reached) const;
  std::string shown(const std::string& name) const;
  caf::expected<rpc::bytes> told(const rpc::call_context& context,
                                 caf::expected<write_outcome> outcome);
  cluster::claim claim_of(const role_report& report) const;

  cluster::node& node_; // not touched after close
  const std::string name_;
  caf::error unusable_;
  link_options link_;
  bool names_writes_; // the URL has no application_name of its own
  std::chrono::milliseconds connect_timeout_;
  bool manage_schema_;
  key_sweeper sweeper_;                        // keep() alone
  std::optional<server_identity> in_recovery_; // the server when it was last seen so; keep() alone
  std::optional<server_identity> prepared_;    // keep() alone
  mutable std::mutex mutex_;
  std::string without_;       // guarded by mutex_; why fly's own tables are not as they should be
  bool has_prepared_ = false; // guarded by mutex_
  std::condition_variable has_prepared_now_;
  std::atomic<bool> tells_timelines_ = false;
  write_gate gate_;
  commit_hold commits_;
  std::shared_ptr<role_board> roles_;
  std::shared_ptr<leadership> leading_;
  std::shared_ptr<lsn_tracker> tracker_;
  wait_alarm alarm_;
  std::shared_ptr<driver_seat> seat_ = std::make_shared<driver_seat>();
  connection_pool pool_;
  std::shared_ptr<connection_pool> sandbox_; // shared with the other databases of a test
  transaction_runner runner_;
};

/// Starts a detached actor that drives `core`, in the place of the one before.
caf::actor start_keeper(caf::event_based_actor* parent, const std::shared_ptr<database_core>& core);

} // namespace fly::repo
