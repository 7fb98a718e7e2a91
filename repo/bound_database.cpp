// The part of database.hpp that calls: a database with the options of its calls.
#include <algorithm>
#include <optional>
#include <utility>

#include "fly/actors/blocking_guard.hpp"
#include "fly/actors/error.hpp"
#include "fly/repo/database.hpp"
#include "fly/repo/database_core.hpp"
#include "fly/repo/ledger.hpp"
#include "fly/repo/level_reader.hpp"
#include "fly/repo/serving.hpp"
#include "fly/repo/wait_help.hpp"
#include "fly/rpc/answer_reader.hpp"
#include "fly/rpc/current_call.hpp"

namespace fly::repo {

using clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

clock::time_point bound_database::deadline() const noexcept {
  return rpc::deadline_within(options_.timeout);
}

caf::error bound_database::read_raw(const std::function<caf::error(pqxx::transaction_base&)>& body,
                                    const one_query* one) const {
  if (auto refused = actors::check_may_block())
    return refused;
  if (db_->core_->unusable())
    return db_->core_->unusable();
  auto wanted = level_of(options_);
  if (!wanted)
    return std::move(wanted.error());
  bool plain = *wanted == level::eventual && !options_.session && options_.report == nullptr;
  if (plain)
    return db_->core_->runner().run_read(deadline(), body, nullptr, one);
  return db_->reader_->read_here({options_, *wanted, clock::now(), deadline()}, body, one);
}

caf::error bound_database::read_statement(const sql_statement& what, result& into) const {
  if (what.wrong)
    return what.wrong;
  if (auto refused = actors::check_may_block())
    return refused;
  if (db_->core_->unusable())
    return db_->core_->unusable();
  auto wanted = level_of(options_);
  if (!wanted)
    return std::move(wanted.error());
  return db_->reader_->read_statement({options_, *wanted, clock::now(), deadline()}, what.text,
                                      what.parameters, what.repeats, into);
}

namespace {

/// The starter refers to what it was made from: it is run within the same expression.
actors::starter<raw_committed> writing(write_call how, std::string_view name,
                                       const std::string& database, const rpc::signature& wanted,
                                       caf::expected<rpc::bytes> arguments) {
  bool is_builtin = !database.empty() && name.starts_with("fly.");
  return [how = std::move(how), name,
          builtin = is_builtin ? builtin_name(name, database) : std::string{}, &wanted,
          arguments = std::move(arguments)](
             actors::completion<raw_committed> done) mutable -> actors::expire {
    if (arguments)
      return start_write(how, builtin.empty() ? name : builtin, wanted, std::move(*arguments),
                         std::move(done));
    done(arguments.error());
    return [] {};
  };
}

/// Notes the write in the session that it is of.
actors::starter<raw_committed> noting(std::optional<session> user,
                                      std::shared_ptr<lsn_tracker> tracker,
                                      actors::starter<raw_committed> start) {
  if (!user)
    return start;
  return [user, tracker = std::move(tracker), start = std::move(start),
          begun = user->now()](actors::completion<raw_committed> done) {
    return start([user, tracker, begun,
                  done = std::move(done)](caf::expected<raw_committed> outcome) mutable {
      auto known = tracker->current();
      if (outcome)
        user->wrote(outcome->report.where, known ? known->history : timeline_history{}, begun);
      done(std::move(outcome));
    });
  };
}

/// `keyed`: whether the write has a key, be it empty.
caf::expected<rpc::bytes> checked(const caf::error& unusable, std::chrono::milliseconds timeout,
                                  bool keyed, const std::string& key,
                                  caf::expected<rpc::bytes> arguments) {
  if (unusable)
    return unusable;
  if (auto wrong = rpc::check_timeout(timeout))
    return wrong;
  if (keyed)
    if (auto wrong = check_key(key))
      return wrong;
  return arguments;
}

} // namespace

bound_database bound_database::once() const {
  auto options = options_;
  options.once = true;
  return {*db_, std::move(options)};
}

std::string bound_database::next_key() const {
  if (options_.key)
    return *options_.key;
  return options_.once ? random_key() : std::string{};
}

actors::starter<raw_committed>
bound_database::starter(bool waits, std::string_view name, const rpc::signature& wanted,
                        const std::string& key, caf::expected<rpc::bytes> arguments,
                        clock::time_point deadline, rpc::answer_reader* own) const {
  const auto& core = *db_->core_;
  write_call how{.rpc = &db_->rpc_,
                 .tracker = waits && options_.await ? core.tracker() : nullptr,
                 .deadline = deadline,
                 .shared = core.in_sandbox(),
                 .key = key,
                 .own = own};
  auto sent = checked(core.unusable(), options_.timeout, options_.key || !key.empty(), key,
                      std::move(arguments));
  return noting(options_.session, core.tracker(),
                writing(std::move(how), name, core.name(), wanted, std::move(sent)));
}

caf::expected<raw_committed> bound_database::ask_raw(bool waits, std::string_view name,
                                                     const rpc::signature& wanted,
                                                     const std::string& key,
                                                     caf::expected<rpc::bytes> arguments) const {
  auto until = deadline();
  rpc::answer_reader own;
  wait_help help;
  return rpc::ask_cancellable<raw_committed>(
      until, starter(waits, name, wanted, key, std::move(arguments), until, &own), [&] {
        db_->rpc_.read_answer(own, until);
        help.run(until);
      });
}

actors::pending<raw_committed> bound_database::ask_raw(caf::scheduled_actor* self, bool waits,
                                                       std::string_view name,
                                                       const rpc::signature& wanted,
                                                       const std::string& key,
                                                       caf::expected<rpc::bytes> arguments) const {
  auto until = deadline();
  return {self, until, starter(waits, name, wanted, key, std::move(arguments), until)};
}

} // namespace fly::repo
