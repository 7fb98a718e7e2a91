#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include <caf/expected.hpp>

#include "fly/repo/connection_pool.hpp"
#include "fly/repo/position.hpp"
#include "fly/repo/role_board.hpp"
#include "fly/rpc/call_parts.hpp"
#include "fly/rpc/function.hpp"

namespace pqxx {
class transaction_base;
} // namespace pqxx

namespace fly::repo {

class transaction;

/// The part of a write's time that the guard, COMMIT and the reading of the position take: one
/// round trip to the database.
inline constexpr std::string_view commit_part = "commit";

struct expected_server;
struct keyed_write;
struct one_query;
struct one_statement;
struct transaction_options;

/// What a function left behind that was committed.
struct write_outcome {
  position where;
  /// From BEGIN to the answer of COMMIT.
  std::chrono::microseconds took{0};
  rpc::bytes value;
  /// Whether it is what an earlier write of the same key left, and nothing ran now.
  bool repeated = false;
};

/// What is asked of the server around a read, in the round trips of BEGIN and COMMIT.
struct checked_read {
  /// Makes the statements for this server.
  std::function<std::vector<link_statement>(const server_identity&)> question;
  /// Looks at the answer of the last of them before anything is read; an error ends it.
  std::function<caf::error(const link_rows&, const server_identity&)> before;
  /// Returns whether one statement may be read there without being asked before: on a connection to
  /// this server that was open at that time. May be null.
  std::function<bool(const server_identity&, std::chrono::steady_clock::time_point)> is_known;
  /// Looks at their answer after the COMMIT; an error says that the read counts for nothing.
  std::function<caf::error(const link_rows&, const server_identity&)> after;
  /// Longest time for the server to answer BEGIN, or to be connected to; nothing: until the
  /// deadline.
  std::optional<std::chrono::milliseconds> answer_max;
};

/// Runs functions in transactions on connections of a pool: in one that writes, or one that reads.
/// Where the current call (rpc/current_call.hpp) is cancelled, its running statement is, too
/// (PQcancel), and nothing is committed any more; a cancel that comes while the commit is under way
/// leaves what the server says of it. The connection is closed then. Not in a sandbox. Safe from
/// any thread; blocks.
class transaction_runner {
public:
  using time_point = std::chrono::steady_clock::time_point;
  /// Runs a function and encodes its result. May throw, and may add what rides with the commit.
  using write_body = std::function<caf::expected<rpc::bytes>(transaction&)>;
  using read_body = std::function<caf::error(pqxx::transaction_base&)>;

  /// Returns whether reads belong on this server.
  using read_place = std::function<bool(const server_identity&)>;

  /// Borrows the pool. `reads_here` decides between servers where several stand behind one name;
  /// where none that it accepts is reached, any will do for a second. Results of more than
  /// `result_bytes_max` are refused before the commit.
  transaction_runner(connection_pool& pool, std::shared_ptr<role_board> roles,
                     std::size_t result_bytes_max, read_place reads_here)
      : pool_(pool), roles_(std::move(roles)), result_bytes_max_(result_bytes_max),
        reads_here_(std::move(reads_here)) {}

  /// Runs `body` in a transaction and commits. `deadline` bounds the wait for a connection and each
  /// statement. A refusal to write (SQLSTATE 25006) is written on the role board at once,
  /// unless the session can write in its next transaction: then it is errc::sql_failed.
  /// Errors: those of `connection_pool::take`, `transaction::finish` and `error_of_exception`;
  /// what `body` returns; errc::malformed_result, too large; errc::expired, the caller gave up
  /// before the commit. Only errc::outcome_unknown may be committed. Where `parts` is given it
  /// learns how long the wait for a connection ("queue") and the commit took, also of what fails.
  /// With `once` it happens once for its key: a second copy waits for the first, and gets its
  /// result. Errors besides: those of `check_entry` and `claim_error`. Where `name` is given,
  /// pg_stat_activity shows it meanwhile.
  caf::expected<write_outcome> run_write(time_point deadline, const write_body& body,
                                         rpc::call_parts* parts = nullptr,
                                         const keyed_write* once = nullptr,
                                         const std::string& name = {});

  /// Tells, of the server that was reached, which one a write may be committed on, or why none.
  using wanted_server = std::function<caf::expected<expected_server>(const server_identity&)>;

  /// As `run_write`, of one statement, in one round trip (one_statement.hpp). Nothing where it is
  /// to be run by `run_write`: in a sandbox, behind a pooler, where commits may be held, on a
  /// connection that may have broken unnoticed, where it failed because it was kept, and where the
  /// database refused it and an earlier copy of `once` may be why. Throws as `must_be_texts`.
  /// Errors besides: errc::malformed_result, too large, and it is committed.
  std::optional<caf::expected<write_outcome>>
  run_one(time_point deadline, const one_statement& what, const wanted_server& wanted,
          rpc::call_parts* parts = nullptr, const keyed_write* once = nullptr,
          const std::string& name = {});

  /// Runs `body` in a read-only transaction; or `one`, which means the same, in one round trip, but
  /// in a sandbox, behind a pooler, where `answer_max` bounds it, and as `run_one` says. Errors: as
  /// `run_write`, none unknown; that of `check->before`.
  caf::error run_read(time_point deadline, const read_body& body,
                      const checked_read* check = nullptr, const one_query* one = nullptr);

private:
  struct begun;

  void watch(begun& on) const;
  caf::expected<connection_pool::lease>
  take(const transaction_options& options,
       std::optional<std::chrono::milliseconds> answer_max = std::nullopt);
  caf::expected<std::unique_ptr<begun>> begin(const transaction_options& options,
                                              rpc::call_parts* parts = nullptr,
                                              const checked_read* check = nullptr);
  caf::expected<std::unique_ptr<begun>> begin_write(time_point deadline, const keyed_write* once,
                                                    const std::string& name,
                                                    rpc::call_parts* parts);
  caf::expected<write_outcome> run_write_on(std::unique_ptr<begun>& with, const write_body& body,
                                            rpc::call_parts* parts, const keyed_write* once);
  caf::expected<std::unique_ptr<begun>> begin_one(const transaction_options& options,
                                                  rpc::call_parts* parts);
  std::optional<caf::error> read_one(time_point deadline, const one_query& what,
                                     const checked_read* check);
  std::optional<caf::expected<write_outcome>> failed(begun& on, caf::error reason,
                                                     time_point deadline);
  caf::error refused(begun& on, caf::error reason, time_point deadline);
  static write_outcome commit_later(std::unique_ptr<begun>& on, write_outcome result);

  connection_pool& pool_;
  std::shared_ptr<role_board> roles_;
  std::size_t result_bytes_max_;
  read_place reads_here_;
  std::atomic<time_point> reads_anywhere_until_{}; // after a search in vain
  // Whether BEGIN asks if commits are held: at first, and after a commit was refused. What is
  // refused there leaves nothing in the log, which replicas might take beyond a promotion.
  std::atomic<bool> asks_hold_ = true;
};

} // namespace fly::repo
