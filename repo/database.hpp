#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include <caf/expected.hpp>
#include <caf/fwd.hpp>

#include "fly/actors/child_spec.hpp"
#include "fly/actors/pending.hpp"
#include "fly/repo/call_options.hpp"
#include "fly/repo/committed.hpp"
#include "fly/repo/key_outcome.hpp"
#include "fly/repo/options.hpp"
#include "fly/repo/parameter.hpp"
#include "fly/repo/place.hpp"
#include "fly/repo/position.hpp"
#include "fly/repo/reading_verbs.hpp"
#include "fly/repo/result.hpp"
#include "fly/repo/role_watcher.hpp"
#include "fly/repo/token.hpp"
#include "fly/repo/write.hpp"
#include "fly/repo/write_handler.hpp"
#include "fly/repo/writing_verbs.hpp"
#include "fly/rpc/endpoint.hpp"

namespace fly::repo {

class bound_database;
class database_core;
class level_reader;
struct one_query;

/// What a node says of a write when it serves it.
struct serve_options {
  /// Runs it on the leader alone, the one member of the primary group that holds the lease; calls
  /// find it by themselves, and wait for one until their deadline. A leader that has lost the lease
  /// meanwhile cannot commit: errc::not_leader, nothing remains. Takes fly's own tables
  /// (docs/rights.md). Without it a write runs on any member of the primary group.
  bool on_leader = false;
  /// As in rpc::serve_options: how many run and wait at a time on one member, and for whom.
  std::size_t running_max = 0;
  std::size_t queue_max = 1024;
  std::vector<rpc::caller_rule> allow{};
};

/// What a database is doing, a moment ago.
struct database_counts {
  std::size_t connections_open = 0; ///< Lent, idle, or being opened; the tracker's is not counted.
  std::size_t connections_idle = 0; ///< Ready to be lent.
  std::size_t queued = 0;           ///< Threads that wait for a connection.
  std::size_t waiters = 0;          ///< Waits for the local database to have a position.
};

/// The face of the repo floor: the local database of this node, and writes on the primary's. Writes
/// are called with `fly::rpc_and_wait` and `fly::rpc_primary` (rpc_and_wait.hpp). Announces the
/// database's role to the cluster, and runs its own actors until a user's supervisor starts
/// `child(db)` and `tracker_child(db)`. A resource: not copied, not moved. Safe from any thread.
class database : public reading_verbs<database>, public actor_verbs<database> {
public:
  /// Attaches a database to the node of `rpc`, which outlives it. Returns at once; the database is
  /// reached when it is needed, and may be down. Options that cannot be used are told by
  /// `usable()` and by every call.
  database(rpc::endpoint& rpc, options settings);

  /// Stops serving its writes, ends all waits and closes the connections. Blocks for a moment, and
  /// up to the connect timeout where the database does not answer.
  ~database();

  database(const database&) = delete;
  database& operator=(const database&) = delete;

  /// Returns errc::invalid_argument where the options cannot be used; empty otherwise.
  caf::error usable() const;

  /// Returns this database with other options: `db.with({.timeout = 2s, .key = "cart-17"})`.
  bound_database with(call_options options) const;

  /// Returns this database with a key of its own for each write: fly's own retries double nothing.
  bound_database once() const;

  /// Serves `f`: calls of it run `handler(transaction, args...)` inside one transaction on this
  /// node while it is in the primary group. The transaction is a pqxx::transaction_base&; the
  /// function returns R or caf::expected<R> (for void also nothing or caf::error), and must not
  /// commit itself. What it throws or returns as an error rolls back and reaches the caller.
  /// Errors: errc::already_served, errc::invalid_argument (the name, or `usable`).
  template <class R, class... Args, write_handler_of<R, Args...> F>
  caf::error serve(const write<R(Args...)>& f, serve_options options, F handler) {
    return serve_raw(std::string{f.name}, write_signature<R, Args...>(), options,
                     make_write_handler<R, Args...>(std::move(handler)));
  }

  template <class R, class... Args, write_handler_of<R, Args...> F>
  caf::error serve(const write<R(Args...)>& f, F handler) {
    return serve(f, serve_options{}, std::move(handler));
  }

  /// Stops serving `name`; calls that have begun go on.
  void unserve(std::string_view name);

  /// As `bound_database`, with a timeout of 5 s.
  template <class F>
  auto read(F f) const;
  template <class... Ts>
  auto execute(std::string sql, const Ts&... parameters) const;
  auto outcome(std::string key) const;

  /// Waits until the local database is as far as `where`. Blocks: never call it from an actor that
  /// shares threads. `timeout` is 1 ms to a day. Returns an empty error once it is; otherwise
  /// errc::not_visible, errc::foreign_position, errc::overloaded, errc::blocking_refused,
  /// errc::invalid_argument, errc::shutting_down.
  caf::error wait_for(const position& where, std::chrono::milliseconds timeout) const;

  /// The same in the name of the actor `self`: `.then(on_value, on_error)`.
  actors::pending<caf::unit_t> wait_for(caf::scheduled_actor* self, const position& where,
                                        std::chrono::milliseconds timeout) const;

  /// The same without a thread or an actor that waits: calls `done` exactly once with what the
  /// blocking form returns, on whatever thread finds it out, also on the caller's before this
  /// returns. It must not block (blocking calls of fly are refused there); what it throws is
  /// logged. The form for event loops and coroutines, and the cheapest for thousands of waits.
  void wait_for(const position& where, std::chrono::milliseconds timeout,
                std::function<void(caf::error)> done) const;

  /// Waits until the databases of all members of a region, or of all members, are as far as
  /// `where`: `db.wait_for(position, in_region("hkg"), 2s)`, `db.wait_for(position, everywhere,
  /// 2s)`. Each of them is asked to wait (wait_at.hpp), which takes no thread there. Blocks, or
  /// calls `done`, as above. Errors as above, naming the member; errc::no_node_in_region,
  /// errc::member_lost and the others of a call.
  caf::error wait_for(const position& where, const place& at,
                      std::chrono::milliseconds timeout) const;
  actors::pending<caf::unit_t> wait_for(caf::scheduled_actor* self, const position& where,
                                        const place& at, std::chrono::milliseconds timeout) const;
  void wait_for(const position& where, const place& at, std::chrono::milliseconds timeout,
                std::function<void(caf::error)> done) const;

  /// Returns `where` as text that may travel through a browser: only the cluster's secret makes one
  /// (without a secret anybody can), and every node of the cluster reads it.
  std::string token(const position& where) const { return tokens_.sign(where); }

  /// Reads a token. Errors: errc::invalid_argument, malformed or not made by this cluster.
  caf::expected<position> parse_token(std::string_view text) const { return tokens_.parse(text); }

  /// Returns what makes and reads them, for `session_cookie`.
  const token_signer& tokens() const noexcept { return tokens_; }

  /// Returns the name under which fly's own write `f` of this database is served.
  std::string builtin(std::string_view f) const;

  /// Returns what is known of the local database, a moment ago.
  role_report role() const;

  /// Returns what is under way.
  database_counts counts() const;

  rpc::endpoint& rpc() const noexcept { return rpc_; }

private:
  friend class bound_database;
  friend actors::child_spec child(database& db);
  friend actors::child_spec tracker_child(database& db);

  caf::error serve_raw(std::string name, const rpc::signature& signature, serve_options options,
                       raw_write_handler handler);
  void let_wait(const actors::starter<caf::unit_t>& start,
                std::chrono::steady_clock::time_point deadline,
                std::function<void(caf::error)> done) const;

  rpc::endpoint& rpc_;
  token_signer tokens_;
  std::shared_ptr<database_core> core_; // shared with the actors and with what runs
  std::unique_ptr<level_reader> reader_;
  struct own_actors;
  std::unique_ptr<own_actors> own_;
};

/// A database and the options of the calls made with it. A value; the database outlives it.
class bound_database : public reading_verbs<bound_database>, public actor_verbs<bound_database> {
public:
  bound_database(const database& db, call_options options = {})
      : db_(&db), options_(std::move(options)) {}

  /// Runs `f(transaction)` in a read-only transaction on the local database, once that is as fresh
  /// as the level wants, and returns its result, R or caf::expected<R>. A lambda cannot travel: it
  /// waits for the local database, whatever `call_options::otherwise` says. Blocks: never call it
  /// from an actor that shares threads. Errors, nothing remains of any: errc::database_unavailable,
  /// errc::overloaded, errc::sql_failed (25006 where it tried to write), errc::function_failed,
  /// errc::blocking_refused, errc::invalid_argument, errc::shutting_down; what `f` returns. Of a
  /// level above `eventual` also errc::not_visible, errc::may_be_lost, errc::foreign_position, and
  /// where the primary must be asked errc::no_primary, errc::timeout; `f` has not run.
  template <class F>
  auto read(F f) const {
    using given = std::invoke_result_t<F&, pqxx::transaction_base&>;
    using R = typename detail::plain<given>::type;
    if constexpr (std::is_void_v<R>) {
      return caf::expected<void>{read_raw([&](pqxx::transaction_base& tx) -> caf::error {
        if constexpr (std::is_void_v<given>) {
          f(tx);
          return {};
        } else
          return detail::error_in(f(tx));
      })};
    } else {
      std::optional<R> value;
      auto reason = read_raw([&](pqxx::transaction_base& tx) -> caf::error {
        caf::expected<R> result = f(tx);
        if (!result)
          return std::move(result.error());
        value.emplace(std::move(*result));
        return {};
      });
      return reason ? caf::expected<R>{std::move(reason)} : caf::expected<R>{std::move(*value)};
    }
  }

  /// Runs one statement in a transaction on the primary, with $1 and on from `parameters` (strings,
  /// numbers, booleans, optionals, nullptr), and waits until the local database has it. Returns
  /// caf::expected<committed<result>>. Blocks; errors as `fly::rpc_and_wait`.
  template <class... Ts>
  auto execute(std::string sql, const Ts&... parameters) const;

  /// Says what became of the writes with `key`: one is committed, or none is and none ever will be.
  /// Waits for one that is running, and until the local database has it. Returns
  /// caf::expected<committed<key_outcome>>. Blocks; errors as `fly::rpc_and_wait`, and it may be
  /// asked again after any of them: errc::timeout where one was still running at the deadline.
  auto outcome(std::string key) const;

  /// Returns this database with a key of its own for each write.
  bound_database once() const;

  /// Returns the same database with other options, in the place of all of these:
  /// `auto how = db.options(); how.await = false; db.with(how).insert(row)`.
  bound_database with(call_options options) const { return {*db_, std::move(options)}; }

  const database& db() const noexcept { return *db_; }
  const call_options& options() const noexcept { return options_; }

  /// Returns when a call that begins now ends at the latest.
  std::chrono::steady_clock::time_point deadline() const noexcept;

  /// Returns the key that a write beginning now has; empty for none.
  std::string next_key() const;

  /// Starts a write with encoded arguments (or the error of encoding them), which begin with `key`,
  /// and blocks for its encoded result. What the verbs are made of.
  caf::expected<raw_committed> ask_raw(bool waits, std::string_view name,
                                       const rpc::signature& wanted, const std::string& key,
                                       caf::expected<rpc::bytes> arguments) const;

  /// The same in the name of the actor `self`.
  actors::pending<raw_committed> ask_raw(caf::scheduled_actor* self, bool waits,
                                         std::string_view name, const rpc::signature& wanted,
                                         const std::string& key,
                                         caf::expected<rpc::bytes> arguments) const;

  /// Runs one statement that reads, here or where the options allow: what the verbs are made of.
  caf::error read_statement(const sql_statement& what, result& into) const;

  /// Runs `body` as `read` does, or `one`, which means the same, in its place.
  caf::error read_raw(const std::function<caf::error(pqxx::transaction_base&)>& body,
                      const one_query* one = nullptr) const;

private:
  /// What `ask_raw` starts; refers to its arguments.
  actors::starter<raw_committed> starter(bool waits, std::string_view name,
                                         const rpc::signature& wanted, const std::string& key,
                                         caf::expected<rpc::bytes> arguments,
                                         std::chrono::steady_clock::time_point deadline,
                                         rpc::answer_reader* own = nullptr) const;

  const database* db_;
  call_options options_;
};

/// Returns the actor that watches the role of the local database as a child of the user's own
/// supervisor, id "repo", or "repo@NAME" of a database with a name. The database outlives it.
actors::child_spec child(database& db);

/// Returns the actor that answers who waits for the local database, id "tracker" or "tracker@NAME".
/// Killing it loses no caller. The database outlives it.
actors::child_spec tracker_child(database& db);

template <class F>
auto database::read(F f) const {
  return bound_database{*this}.read(std::move(f));
}

} // namespace fly::repo

#include "fly/repo/rpc_and_wait.hpp"
