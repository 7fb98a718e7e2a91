#include "fly/repo/serving.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include "fly/actors/error.hpp"
#include "fly/actors/mutant.hpp"
#include "fly/actors/pending.hpp"
#include "fly/repo/database_core.hpp"
#include "fly/repo/exec.hpp"
#include "fly/repo/explain_write.hpp"
#include "fly/repo/ledger.hpp"
#include "fly/repo/one_statement.hpp"
#include "fly/repo/primary_move.hpp"
#include "fly/repo/remote_read.hpp"
#include "fly/repo/statement.hpp"
#include "fly/repo/transaction.hpp"
#include "fly/rpc/current_call.hpp"
#include "fly/rpc/explain.hpp"

namespace fly::repo {

using clock = std::chrono::steady_clock;

namespace {

/// Returns the write of `name` and `key` that is to happen once; nothing for an empty key.
caf::expected<std::optional<keyed_write>> once_for(std::string key, const std::string& name,
                                                   std::uint64_t signature,
                                                   std::span<const char> arguments) {
  if (key.empty() || mutant("no_ledger"))
    return std::optional<keyed_write>{};
  if (auto wrong = check_key(key))
    return wrong;
  return std::optional{keyed_call(std::move(key), name, signature, arguments)};
}

} // namespace

rpc::raw_handler in_transaction(std::shared_ptr<database_core> core, std::string name,
                                const rpc::signature& signature, serve_options options,
                                raw_write_handler handler) {
  return [core = std::move(core), name = std::move(name), fingerprint = signature.fingerprint,
          options, handler = std::move(handler)](
             const rpc::call_context& context,
             std::span<const char> arguments) -> caf::expected<rpc::bytes> {
    auto key = take_key(arguments);
    if (!key)
      return std::move(key.error());
    auto once = once_for(std::move(*key), name, fingerprint, arguments);
    if (!once)
      return std::move(once.error());
    auto keyed = context;
    if (*once)
      keyed.key = (*once)->key;
    auto run = [&] {
      return core->run_write(
          keyed, name, [&](pqxx::transaction_base& tx) { return handler(tx, keyed, arguments); },
          options.on_leader, *once ? &**once : nullptr);
    };
    auto answer = run();
    // The first write of a new database may come before its tables.
    bool needs_tables = *once || name == outcome_of_key.name;
    if (!answer && needs_tables && is_without_tables(answer.error()) &&
        core->wait_prepared(context.deadline))
      return run();
    return answer;
  };
}

namespace {

std::chrono::milliseconds bounded(std::int64_t asked) {
  constexpr std::int64_t hour = 3'600'000;
  return std::chrono::milliseconds{std::clamp<std::int64_t>(asked, 0, hour)};
}

/// How long a copy that a deadlock ended lets the other one go first, and four times as long each
/// time, up to the second that the deadlock took.
constexpr std::chrono::milliseconds deadlock_pause{50};
constexpr std::chrono::milliseconds deadlock_pause_max{1000};

/// Runs the statement of a verb; `in_three` does it where that cannot be in one round trip.
rpc::raw_handler in_one_trip(std::shared_ptr<database_core> core, std::string name,
                             const rpc::signature& signature, rpc::raw_handler in_three) {
  return [core = std::move(core), name = std::move(name), fingerprint = signature.fingerprint,
          in_three =
              std::move(in_three)](const rpc::call_context& context,
                                   std::span<const char> arguments) -> caf::expected<rpc::bytes> {
    auto behind = arguments;
    auto key = take_key(behind);
    if (!key)
      return std::move(key.error());
    auto once = once_for(std::move(*key), name, fingerprint, behind);
    if (!once)
      return std::move(once.error());
    std::string sql;
    std::vector<parameter> parameters;
    bool repeats = false;
    if (auto reason = rpc::decode(errc::malformed_arguments, behind, sql, parameters, repeats))
      return reason;
    auto outcome =
        core->run_one(context, name, {sql, parameters, repeats}, *once ? &**once : nullptr);
    if (outcome)
      return std::move(*outcome);
    for (auto pause = deadlock_pause;; pause = std::min(pause * 4, deadlock_pause_max)) {
      auto answer = in_three(context, arguments);
      bool again = !answer && *once && is_deadlock(answer.error()) && !context.cancelled();
      if (!again || std::chrono::steady_clock::now() + pause >= context.deadline)
        return answer;
      // By a copy in one round trip, which locks the rows before the key, and takes it now.
      std::this_thread::sleep_for(pause);
    }
  };
}

/// Serves under names that are fly's own.
class builtins {
public:
  builtins(rpc::endpoint& rpc, const std::shared_ptr<database_core>& core)
      : rpc_(rpc), core_(core) {}

  template <class R, class... Args, class F>
  void add(const rpc::function<R(Args...)>& f, F handler) {
    take(builtin_name(f.name, core_->name()), rpc::signature_of<R(Args...)>().text,
         rpc::make_raw_handler<R, Args...>(std::move(handler), rpc::errors_of::fly));
  }

  template <class R, class... Args, class F>
  void add(const write<R(Args...)>& f, F handler) {
    auto name = builtin_name(f.name, core_->name());
    take(name, write_signature<R, Args...>().text,
         handler_of<R, Args...>(name, std::move(handler)));
  }

  /// The statements of the verbs.
  void add_verbs() {
    auto name = builtin_name(write_rows_name, core_->name());
    const auto& signature = write_signature<result, std::string, std::vector<parameter>, bool>();
    auto in_three = handler_of<result, std::string, std::vector<parameter>, bool>(
        name, [](pqxx::transaction_base& tx, const std::string& sql,
                 const std::vector<parameter>& parameters,
                 bool) { return run_statement(tx, sql, parameters); });
    take(name, signature.text, in_one_trip(core_, name, signature, std::move(in_three)));
  }

  template <class R, class... Args>
  void add(const rpc::function<R(Args...)>& f, rpc::raw_starter later) {
    take(builtin_name(f.name, core_->name()), rpc::signature_of<R(Args...)>().text,
         std::move(later));
  }

  std::vector<std::string> names() && { return std::move(names_); }

private:
  template <class R, class... Args, class F>
  rpc::raw_handler handler_of(const std::string& name, F handler) const {
    return in_transaction(core_, name, write_signature<R, Args...>(), {},
                          make_write_handler<R, Args...>(std::move(handler)));
  }

  template <class Handler>
  void take(std::string name, std::string signature, Handler handler) {
    if (!rpc_.serve_builtin(name, std::move(signature), std::move(handler)))
      names_.push_back(std::move(name));
  }

  rpc::endpoint& rpc_;
  const std::shared_ptr<database_core>& core_;
  std::vector<std::string> names_;
};

/// Waits until the local database has a position, for as long as the caller does.
rpc::raw_starter wait_until_there(caf::actor_system& system, std::shared_ptr<database_core> core) {
  return [&system, core = std::move(core)](const rpc::call_context& context,
                                           std::span<const char> arguments,
                                           rpc::raw_reply reply) -> actors::expire {
    std::string text;
    std::int64_t longest = 0;
    auto reason = rpc::decode(errc::malformed_arguments, arguments, text, longest);
    auto where = reason ? caf::expected<position>{std::move(reason)} : parse_position(text);
    if (!where) {
      reply(std::move(where.error()));
      return [] {};
    }
    auto deadline = std::min(context.deadline, clock::now() + bounded(longest));
    auto end = core->tracker()->wait_for(
        *where, deadline, [reply = std::move(reply)](const caf::expected<caf::unit_t>& outcome) {
          reply(outcome ? rpc::encode(true) : outcome.error());
        });
    core->alarm().set(system, deadline);
    return end;
  };
}

caf::expected<std::vector<timeline_row>> read_history(database_core& core) {
  constexpr auto question = R"(SELECT system, timeline, parent, coalesce(left_at::text, ''),
to_char(noted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
FROM fly.timeline ORDER BY system, timeline)";
  std::vector<timeline_row> result;
  auto reason = core.runner().run_read(
      clock::now() + std::chrono::seconds{5}, [&](pqxx::transaction_base& tx) -> caf::error {
        for (const auto& row : tx.exec(question))
          result.push_back({.system = static_cast<std::uint64_t>(row[0].as<std::int64_t>()),
                            .timeline = row[1].as<std::uint32_t>(),
                            .parent = row[2].as<std::uint32_t>(),
                            .left_at = row[3].c_str(),
                            .noted_at = row[4].c_str()});
        return {};
      });
  if (reason)
    return reason;
  return result;
}

} // namespace

std::string builtin_name(std::string_view f, const std::string& database) {
  return std::string{f} + (database.empty() ? "" : "@" + database);
}

std::vector<std::string> serve_builtins(rpc::endpoint& rpc,
                                        const std::shared_ptr<database_core>& core) {
  builtins all{rpc, core};
  all.add(execute_statement, run_statement);
  all.add_verbs();
  all.add(outcome_of_key, settle_key);
  all.add(read_statement, [core](const rpc::call_context& context, const read_request& asked) {
    return answer_read(*core, context, asked);
  });
  all.add(primary_position,
          [core](const rpc::call_context& context) { return answer_position(*core, context); });
  all.add(reach, wait_until_there(rpc.node().system(), core));
  if (!core->name().empty())
    return std::move(all).names();
  all.add(explain_write, [&rpc, core](rpc::explain_request asked) {
    return explain_write_call(rpc, core->tracker(), std::move(asked));
  });
  all.add(hold_writes, [core](std::int64_t longest, std::uint32_t timeline) {
    return core->hold(bounded(longest), timeline);
  });
  all.add(timelines, [core] { return read_history(*core); });
  return std::move(all).names();
}

} // namespace fly::repo
