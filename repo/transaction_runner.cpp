#include "fly/repo/transaction_runner.hpp"

#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "fly/actors/error.hpp"
#include "fly/actors/mutant.hpp"
#include "fly/repo/begun_transaction.hpp"
#include "fly/repo/commit_hold.hpp"
#include "fly/repo/ledger.hpp"
#include "fly/repo/nested_wait.hpp"
#include "fly/repo/sql_error.hpp"
#include "fly/repo/statement.hpp"
#include "fly/repo/timed_part.hpp"
#include "fly/repo/transaction_text.hpp"
#include "fly/repo/write_reply.hpp"
#include "fly/rpc/current_call.hpp"
#include "fly/rpc/server.hpp"

namespace fly::repo {

using clock = std::chrono::steady_clock;

caf::error nobody_waits() {
  return make_error(errc::expired, "the caller gave up before the commit: nothing remains");
}

caf::error too_large(std::size_t bytes, std::size_t bytes_max, std::string_view fate) {
  return make_error(errc::malformed_result, "the result has " + std::to_string(bytes) +
                                                " bytes, more than " + std::to_string(bytes_max) +
                                                "; " + std::string{fate});
}

caf::error too_large_answer(std::size_t bytes, std::size_t bytes_max) {
  return but_committed(too_large(bytes, bytes_max, "more than an answer holds"));
}

/// Lets the end of the current call cancel the statements of `on`.
void transaction_runner::watch(begun& on) const {
  if (const auto* call = rpc::current_call(); call != nullptr && !pool_.keeps_transactions())
    on.watch.emplace(call, [&on] {
      on.cancelled = true;
      on.lease.cancel();
    });
}

/// Takes a connection; for a read, one to the server that is known to have what was waited for.
caf::expected<connection_pool::lease>
transaction_runner::take(const transaction_options& options,
                         std::optional<std::chrono::milliseconds> answer_max) {
  // Who reads waits for it here; the caller of a write has its answer, and a commit is worth a
  // wait.
  auto grace = options.read_only ? std::chrono::milliseconds{25} : std::chrono::milliseconds{2000};
  bool anywhere =
      !options.read_only || options.sandbox || clock::now() < reads_anywhere_until_.load();
  // What is idle may all be of another server, and then the next new one need not be.
  constexpr int attempts_max = 16;
  for (int attempt = 1;; ++attempt) {
    auto lease = take_within(pool_, *options.deadline, grace, answer_max);
    if (!lease || anywhere || reads_here_((*lease)->identity()))
      return lease;
    if (attempt == attempts_max) {
      reads_anywhere_until_ = clock::now() + std::chrono::seconds{1};
      return lease;
    }
    lease->spoil();
  }
}

caf::expected<std::unique_ptr<transaction_runner::begun>>
transaction_runner::begin(const transaction_options& options, rpc::call_parts* parts,
                          const checked_read* check) {
  auto answer_max = check != nullptr ? check->answer_max : std::nullopt;
  auto begin_by = answer_max ? clock::now() + *answer_max : clock::time_point::max();
  for (;;) {
    auto lease = [&] {
      timed_part queue{parts, rpc::queue_part};
      return take(options, answer_max);
    }();
    if (!lease)
      return std::move(lease.error());
    auto result = std::make_unique<begun>(std::move(*lease));
    auto& on = *result->lease;
    watch(*result);
    if (result->cancelled)
      return nobody_waits();
    try {
      if (check == nullptr) {
        result->tx.emplace(on, options);
        return result;
      }
      auto asking = options;
      asking.question = joined(check->question(on.identity()));
      result->tx.emplace(on, std::move(asking));
      if (answer_max)
        result->lease.answered();
      if (auto reason = check->before(to_rows(result->tx->begun()), on.identity()))
        return reason;
      return result;
    } catch (...) {
      // One that broke while it was idle says nothing of the database; a new one does.
      if (!on.connected() && clock::now() >= begin_by)
        return make_error(errc::database_unavailable, "the database does not answer within " +
                                                          std::to_string(answer_max->count()) +
                                                          " ms");
      if (result->lease.reused() && !on.connected())
        continue;
      return error_of_exception(std::current_exception(), on.report(), !options.read_only);
    }
  }
}

/// Begins, and claims the key; where somebody else was a moment faster, again.
caf::expected<std::unique_ptr<transaction_runner::begun>>
transaction_runner::begin_write(time_point deadline, const keyed_write* once,
                                const std::string& name, rpc::call_parts* parts) {
  for (;;) {
    transaction_options options{.deadline = deadline,
                                .application_name = name,
                                .asks_hold = asks_hold_,
                                .sandbox = pool_.keeps_transactions()};
    if (once != nullptr)
      options.with_begin = claim_statement(*once);
    auto on = begin(options, parts);
    if (on)
      return on;
    if (on.error() == errc::database_unavailable) // another member may do, or this one soon
      return not_started(on.error());
    if (once == nullptr)
      return on;
    if (!is_lost_race(on.error()) || clock::now() >= deadline)
      return claim_error(on.error(), once->key);
  }
}

namespace {

/// What the first copy of a keyed write left; nothing where its entry was deleted meanwhile.
caf::expected<std::optional<write_outcome>> recall(connection& on, transaction& tx,
                                                   const keyed_write& what) {
  try {
    auto entry = read_entry(tx, what.key, on.identity().system);
    if (!entry)
      return std::move(entry.error());
    if (!*entry)
      return std::optional<write_outcome>{};
    if (auto refused = check_entry(what, **entry))
      return refused;
    return std::optional{write_outcome{
        .where = (*entry)->where, .value = std::move((*entry)->result), .repeated = true}};
  } catch (...) {
    return claim_error(error_of_exception(std::current_exception(), on.report(), true), what.key);
  }
}

} // namespace

/// Takes that a write was refused because the database cannot write; or, where that was only the
/// function's own transaction, tells it as an error of the function.
caf::error transaction_runner::refused(begun& on, caf::error reason, time_point deadline) {
  on.watch.reset();
  on.tx.reset();
  if (!pool_.keeps_transactions() && only_its_own(*on.lease, reason, deadline))
    return make_error(errc::sql_failed,
                      text_of(reason) + "; that is of the function: the database takes writes",
                      details_of(reason));
  // Whatever else was opened before the database became read-only is of no use either.
  roles_->refused();
  on.lease.spoil();
  pool_.drop_idle();
  return reason;
}

caf::expected<write_outcome>
transaction_runner::run_write(time_point deadline, const write_body& body, rpc::call_parts* parts,
                              const keyed_write* once, const std::string& name) {
  auto on = begin_write(deadline, once, name, parts);
  while (on && once != nullptr && !was_claimed((*on)->lease->report())) {
    auto first = recall(*(*on)->lease, *(*on)->tx, *once);
    if (!first)
      return std::move(first.error());
    if (*first && (*first)->value.size() > result_bytes_max_) // of a verb: found after its commit
      return too_large_answer((*first)->value.size(), result_bytes_max_);
    if (*first) {
      (*first)->took = (*on)->took();
      return std::move(**first);
    }
    on->reset(); // gives the connection back first
    on = begin_write(deadline, once, name, parts);
  }
  asks_hold_ = !on && is_held(on.error());
  if (!on)
    return std::move(on.error());
  auto outcome = run_write_on(*on, body, parts, once);
  if (!outcome && is_held(outcome.error()))
    asks_hold_ = true;
  if (!outcome && outcome.error() == errc::not_primary && !is_held(outcome.error()) &&
      !details_of(outcome.error()).contains(returned_detail)) // of a call that the function made
    return refused(**on, std::move(outcome.error()), deadline);
  return outcome;
}

/// The caller has its answer a moment before the commit.
write_outcome transaction_runner::commit_later(std::unique_ptr<begun>& on, write_outcome result) {
  result.where = position{.system = on->lease->identity().system, .timeline = 1};
  on->watch.reset();
  std::thread{[on = std::move(on)] {
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
    on->tx->finish();
  }}.detach();
  return result;
}

caf::expected<write_outcome> transaction_runner::run_write_on(std::unique_ptr<begun>& with,
                                                              const write_body& body,
                                                              rpc::call_parts* parts,
                                                              const keyed_write* once) {
  auto& on = *with;
  write_outcome result;
  try {
    rpc::holding_scope holding{&pool_};
    auto value = body(*on.tx);
    if (!value)
      return on.tx->account_for(std::move(value.error()));
    result.value = std::move(*value);
  } catch (...) {
    return on.tx->account_for(
        error_of_exception(std::current_exception(), on.lease->report(), true));
  }
  if (result.value.size() > result_bytes_max_)
    return on.tx->account_for(
        too_large(result.value.size(), result_bytes_max_, "nothing is committed"));
  if (const auto* call = rpc::current_call();
      on.cancelled || (call != nullptr && call->cancelled()))
    return on.tx->account_for(nobody_waits());
  if (once != nullptr)
    on.tx->before_commit(seal_statement(once->key, result.value, on.tx->server().timeline));
  if (mutant("answer_before_commit"))
    return commit_later(with, std::move(result));
  auto where = [&] {
    timed_part commit{parts, commit_part};
    return on.tx->finish();
  }();
  if (!where && mutant("answer_before_commit"))
    where = position{.system = on.lease->identity().system, .timeline = 1};
  if (!where)
    return std::move(where.error());
  result.where = *where;
  result.took = on.took();
  return result;
}

namespace {

/// The server that ends a session says why; a lost one of an overdue read was closed by fly.
caf::error told_by_time(caf::error reason, transaction_runner::time_point deadline) {
  if (reason == errc::database_unavailable && details_of(reason).empty() && clock::now() > deadline)
    return make_error(errc::timeout, "the read's function took longer than its time");
  return reason;
}

} // namespace

caf::error transaction_runner::run_read(time_point deadline, const read_body& body,
                                        const checked_read* check, const one_query* one) {
  if (one != nullptr)
    if (auto outcome = read_one(deadline, *one, check))
      return std::move(*outcome);
  auto on = begin({.deadline = deadline, .read_only = true, .sandbox = pool_.keeps_transactions()},
                  nullptr, check);
  if (!on)
    return std::move(on.error());
  try {
    rpc::holding_scope holding{&pool_};
    if (auto reason = body(*(*on)->tx))
      return (*on)->tx->account_for(std::move(reason));
  } catch (...) {
    return (*on)->tx->account_for(told_by_time(
        error_of_exception(std::current_exception(), (*on)->lease->report(), false), deadline));
  }
  auto& tx = *(*on)->tx;
  auto reason = told_by_time(tx.finish_reading(), deadline);
  if (!reason && check != nullptr)
    return check->after(to_rows(tx.ended()), (*on)->lease->identity());
  return reason;
}

} // namespace fly::repo
