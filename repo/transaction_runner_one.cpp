// The second part of transaction_runner.hpp: one statement in one round trip.
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include "fly/actors/error.hpp"
#include "fly/repo/begun_transaction.hpp"
#include "fly/repo/commit_error.hpp"
#include "fly/repo/commit_hold.hpp"
#include "fly/repo/ledger.hpp"
#include "fly/repo/one_statement.hpp"
#include "fly/repo/sql_error.hpp"
#include "fly/repo/timed_part.hpp"
#include "fly/repo/write_reply.hpp"
#include "fly/rpc/codec.hpp"
#include "fly/rpc/server.hpp"

namespace fly::repo {

namespace {

using namespace std::chrono_literals;

/// A connection that was idle for longer may have broken unnoticed, a firewall's work, say. A BEGIN
/// alone finds that out, and nothing has run.
constexpr auto idle_max = 5s;

bool may_be_one(const connection& on) {
  return !on.is_pooled() && std::chrono::steady_clock::now() - on.worked_at() <= idle_max;
}

/// Lets who asked have the rows; what he throws is of his read.
caf::error taken(const one_query& what, const pg_result& rows) {
  try {
    return what.take(rows);
  } catch (...) {
    return error_of_exception(std::current_exception(), {}, false);
  }
}

/// statement_timeout, or pg_cancel_backend.
bool is_canceled(const caf::error& reason) {
  return reason == errc::sql_failed && details_of(reason)["sqlstate"] == "57014";
}

/// Turns what the database said when the time was over. Nobody knows whether the statement was slow
/// or waited for a copy, also where that has a row and not yet the key: it may be committed.
caf::error late_error(const caf::error& reason, const std::string& key) {
  auto details = details_of(reason);
  if (details["context"].find("ledger_pkey") != std::string::npos)
    return claim_error(reason, key);
  details["key"] = key;
  return make_error(errc::timeout,
                    "the statement had not ended at the deadline, perhaps for another copy of " +
                        key + ": " + text_of(reason),
                    std::move(details));
}

/// Runs it with its entry in the ledger.
caf::expected<one_outcome> write_keyed(connection& on, const one_statement& what,
                                       const keyed_write& once, const one_options& options) {
  auto keyed = with_entry(what, once, on.identity().timeline);
  auto outcome = write_one(on, {keyed.sql, keyed.parameters, what.repeats}, options);
  bool near_end = std::chrono::steady_clock::now() + 50ms >= options.deadline; // ms are cut off
  if (!outcome && near_end && is_canceled(outcome.error()))
    return late_error(outcome.error(), once.key);
  return outcome;
}

/// Whether what the database refused may be done already by an earlier copy: its key is there, or
/// what the statement would write.
bool may_be_a_copy(const caf::error& reason) {
  return reason == errc::sql_failed && !is_canceled(reason);
}

} // namespace

/// Takes a connection on which nothing is begun yet; null where that should begin by itself.
caf::expected<std::unique_ptr<transaction_runner::begun>>
transaction_runner::begin_one(const transaction_options& options, rpc::call_parts* parts) {
  auto lease = [&] {
    timed_part queue{parts, rpc::queue_part};
    return take(options);
  }();
  if (!lease)
    return std::move(lease.error());
  auto on = std::make_unique<begun>(std::move(*lease));
  if (!may_be_one(*on->lease)) {
    on->lease.unused();
    return std::unique_ptr<begun>{};
  }
  watch(*on);
  if (on->cancelled)
    return nobody_waits();
  return on;
}

std::optional<caf::expected<write_outcome>>
transaction_runner::run_one(time_point deadline, const one_statement& what,
                            const wanted_server& wanted, rpc::call_parts* parts,
                            const keyed_write* once, const std::string& name) {
  must_be_texts(what.sql, what.parameters);
  if (asks_hold_ || pool_.keeps_transactions() || (once != nullptr && !takes_entry(what)))
    return std::nullopt;
  auto on = begin_one({.deadline = deadline}, parts);
  if (!on)
    return on.error() == errc::database_unavailable ? not_started(on.error())
                                                    : std::move(on.error());
  if (!*on)
    return std::nullopt;
  auto& with = *(*on)->lease;
  auto server = wanted(with.identity());
  if (!server) {
    (*on)->lease.unused();
    return std::move(server.error());
  }
  one_options options{.deadline = deadline, .application_name = name, .wanted = *server};
  auto outcome =
      once == nullptr ? write_one(with, what, options) : write_keyed(with, what, *once, options);
  if (!outcome && once != nullptr && may_be_a_copy(outcome.error()))
    return std::nullopt;
  if (!outcome)
    return failed(**on, std::move(outcome.error()), deadline);
  auto value = rpc::encode(outcome->rows);
  if (!value)
    return but_committed(make_error(errc::malformed_result, text_of(value.error())));
  if (value->size() > result_bytes_max_)
    return too_large_answer(value->size(), result_bytes_max_);
  return write_outcome{.where = outcome->where, .took = (*on)->took(), .value = std::move(*value)};
}

/// Nothing where it is to be run in another way.
std::optional<caf::error> transaction_runner::read_one(time_point deadline, const one_query& what,
                                                       const checked_read* check) {
  bool bounded = check != nullptr && check->answer_max; // an answer comes with the last one only
  if (pool_.keeps_transactions() || bounded || !gives_rows(what.sql))
    return std::nullopt;
  must_be_texts(what.sql, what.parameters);
  caf::expected<result_handle> rows{result_handle{}};
  {
    auto on = begin_one({.deadline = deadline, .read_only = true}, nullptr);
    if (!on)
      return std::move(on.error());
    if (!*on)
      return std::nullopt;
    auto& with = *(*on)->lease;
    rows = repo::read_one(with, what, deadline, check);
    // The question behind the end failed, as it does where the server was promoted meanwhile.
    if (!rows && with.report().last && has_tag(with.report(), "COMMIT"))
      return std::nullopt;
  } // others have the connection while the rows are looked at
  if (rows)
    return taken(what, **rows);
  if (was_kept_in_vain(rows.error()))
    return std::nullopt;
  return std::move(rows.error());
}

/// Nothing where it is to be run in another way.
std::optional<caf::expected<write_outcome>> transaction_runner::failed(begun& on, caf::error reason,
                                                                       time_point deadline) {
  if (was_kept_in_vain(reason))
    return std::nullopt;
  if (is_held(reason))
    asks_hold_ = true;
  else if (reason == errc::not_primary)
    return refused(on, std::move(reason), deadline);
  return reason;
}

} // namespace fly::repo
