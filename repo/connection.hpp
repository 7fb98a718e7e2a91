#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <caf/expected.hpp>

#include "fly/repo/kept_statement.hpp"
#include "fly/repo/pq_link.hpp"
#include "fly/repo/pqxx_compat.hpp"
#include "fly/repo/server_identity.hpp"
#include "fly/repo/statement_canceller.hpp"

namespace fly::repo {

/// One connection for functions: libpqxx on top, the server's own words below. It never heals
/// behind our back: once broken it stays so. Not safe to share between threads.
class connection {
public:
  /// Connects and asks who is there. Blocks until `deadline` at most.
  /// Errors: errc::database_unavailable; errc::sql_failed where the role may not ask.
  static caf::expected<std::unique_ptr<connection>> open(const link_options& options,
                                                         pq_link::time_point deadline);

  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  /// Returns the connection that transactions run on.
  compat::any_connection& pqxx() noexcept { return *pqxx_; }

  /// Returns what the server was when the connection was opened.
  const server_identity& identity() const noexcept { return identity_; }

  /// Returns what the server has said since the last `report().clear()`.
  server_report& report() noexcept { return link_.report(); }

  /// Returns what makes the session keep the plan of `what`, with its ";": empty where it does so
  /// already, and behind a pooler. Say `took_kept` after the round trip.
  std::string keep(const kept_statement& what);

  /// Returns what runs `what` once it is kept; behind a pooler the plain text.
  std::string run(const kept_statement& what) const;

  /// Takes from `report()` what the session keeps now.
  void took_kept();

  /// Returns the statements after which the settings and the role of the session are what they were
  /// when it was opened. None behind a pooler: they are also the pooler's.
  const std::vector<std::string>& reset_statements() const noexcept { return reset_; }

  /// The same as one text, each with its ";".
  const std::string& reset_text() const noexcept { return reset_text_; }

  /// Returns the link below, for what libpqxx does not know; outside of transactions of libpqxx.
  pq_link& link() noexcept { return link_; }

  /// Returns the name under which the session may keep `sql`, the same each time; empty where it
  /// keeps as many as it should, or this one no more.
  std::string name_for(const std::string& sql);

  /// Says that `sql` is better not kept, where it was: its plan does not fit the tables any more.
  void no_name_for(const std::string& sql) {
    if (auto found = names_.find(sql); found != names_.end())
      found->second.clear();
  }

  /// When it was open.
  pq_link::time_point opened_at() const noexcept { return opened_at_; }

  /// When it is known to have worked last.
  pq_link::time_point worked_at() const noexcept { return worked_at_; }
  void worked() noexcept { worked_at_ = std::chrono::steady_clock::now(); }

  /// Makes it plan all anew: somebody has dropped what it kept (DEALLOCATE).
  void forget_kept();

  /// Returns whether it is up and outside a transaction, so that somebody else may use it.
  bool reusable() const { return !retired_ && link_.idle(); }

  /// Returns whether its own transaction may go on with somebody else (sandbox.hpp).
  bool continuable() const {
    return !retired_ && link_.connected() && !link_.in_aborted_transaction();
  }

  /// Says that nobody else may use it: its state is not known.
  void retire() noexcept { retired_ = true; }

  /// Returns whether it is up as far as is known.
  bool connected() const { return link_.connected(); }

  /// Returns whether the next transaction may be in another session, or on another server.
  bool is_pooled() const noexcept { return !keeps_; }

  /// Returns whether a transaction is open on it, aborted or not.
  bool in_transaction() const { return link_.in_transaction(); }
  bool outside_transaction() const { return link_.outside_transaction(); }
  bool in_aborted_transaction() const { return link_.in_aborted_transaction(); }

  /// Ends the session under the hands of a thread that waits for an answer, which then sees a
  /// broken connection. Safe from any thread while the connection exists.
  void cut() noexcept;

  /// Returns what cancels its statements from another thread.
  const cancel_handle& canceller() const noexcept { return canceller_; }

private:
  connection(pq_link link, const server_identity& identity, const link_options& options);

  server_identity identity_;
  std::vector<std::string> reset_;
  std::string reset_text_;
  std::map<std::string, std::string> names_; // by what is kept under them; "": it is not
  pq_link::time_point opened_at_ = std::chrono::steady_clock::now();
  pq_link::time_point worked_at_ = opened_at_;
  bool retired_ = false;
  bool keeps_;                            // not behind a pooler
  std::set<std::string_view> kept_;       // names
  std::vector<std::string_view> to_keep_; // names; sent, and not yet known to be kept
  cancel_handle canceller_;
  pq_link link_;                                     // before pqxx_, which closes it
  std::unique_ptr<compat::adopted_connection> pqxx_; // owns libpq's connection
};

} // namespace fly::repo
