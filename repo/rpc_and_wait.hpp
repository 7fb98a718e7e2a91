#pragma once

#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <caf/expected.hpp>
#include <caf/fwd.hpp>

#include "fly/repo/committed.hpp"
#include "fly/repo/database.hpp"
#include "fly/repo/write_handler.hpp"
#include "fly/rpc/verbs.hpp"

namespace fly::repo {

/// The write that an actor awaits: call `.then` in the same handler. The actor does not block.
/// Where it ends first, the write is cancelled: it is committed or not. Only inside the actor.
template <class R>
class [[nodiscard]] pending_write {
public:
  explicit pending_write(actors::pending<raw_committed> raw) : raw_(std::move(raw)) {}

  /// Runs `on_value(committed<R>&)` or `on_error(caf::error&)` inside the actor, exactly one of
  /// them, at the deadline at the latest.
  template <class OnValue, class OnError>
  void then(OnValue on_value, OnError on_error) && {
    std::move(raw_).then(
        [on_value = std::move(on_value), on_error](raw_committed& raw) mutable {
          auto result = to_committed<R>(std::move(raw)); // here, and not on the I/O thread
          if (result) {
            on_value(*result);
          } else {
            caf::error reason = result.error();
            on_error(reason);
          }
        },
        [on_error](caf::error& reason) mutable { on_error(reason); });
  }

private:
  actors::pending<raw_committed> raw_;
};

namespace detail {

template <class R, class... Args>
caf::expected<committed<R>> ask(bool waits, const bound_database& db, const write<R(Args...)>& f,
                                const std::type_identity_t<Args>&... args) {
  auto key = db.next_key();
  auto raw =
      db.ask_raw(waits, f.name, write_signature<R, Args...>(), key, rpc::encode(key, args...));
  if (!raw)
    return std::move(raw.error());
  return to_committed<R>(std::move(*raw));
}

template <class R, class... Args>
pending_write<R> ask(caf::scheduled_actor* self, bool waits, const bound_database& db,
                     const write<R(Args...)>& f, const std::type_identity_t<Args>&... args) {
  auto key = db.next_key();
  return pending_write<R>{db.ask_raw(self, waits, f.name, write_signature<R, Args...>(), key,
                                     rpc::encode(key, args...))};
}

} // namespace detail

/// One statement on the primary: what `database::execute` calls. Every database serves it.
inline constexpr write<result(std::string, std::vector<parameter>)> execute_statement{
    "fly.execute"};

/// An INSERT, UPDATE or DELETE of the verbs, which runs in one round trip where it has no key. The
/// last argument: whether it is one of few texts, see `one_statement`.
inline constexpr write<result(std::string, std::vector<parameter>, bool)> write_rows_statement{
    write_rows_name};

} // namespace fly::repo

namespace fly {

/// Runs `f` in a transaction on the primary and returns once the local database has replayed it; on
/// a node of the primary group it runs here and waits for nothing. Waits for a primary where none
/// is known. Blocks for at most `call_options::timeout` in all: never call it from an actor that
/// shares threads. A commit is always a value; `visible()` is false where the local database was
/// late, and the write must not be repeated. With a key it happens once, and is tried again by
/// itself where it is not known whether a copy was committed. Errors: errc::no_primary,
/// not_primary, unknown_function, signature_mismatch, overloaded, expired, database_unavailable and
/// the other codes below 64: nothing remains. errc::sql_failed (SQLSTATE, constraint and the rest
/// in the details), function_failed: it ran and was rolled back. errc::outcome_unknown, timeout,
/// member_lost: it may be committed; with a key, which the detail "key" names, `database::outcome`
/// tells.
template <class R, class... Args, class... Given>
requires rpc::callable_with<R(Args...), Given...> caf::expected<repo::committed<R>>
rpc_and_wait(const repo::bound_database& db, const repo::write<R(Args...)>& f, Given&&... args) {
  return repo::detail::ask<R, Args...>(true, db, f, std::forward<Given>(args)...);
}

/// The same in the name of the actor `self`: `.then(on_value, on_error)`.
template <class R, class... Args, class... Given>
requires rpc::callable_with<R(Args...), Given...> repo::pending_write<R>
rpc_and_wait(caf::scheduled_actor* self, const repo::bound_database& db,
             const repo::write<R(Args...)>& f, Given&&... args) {
  return repo::detail::ask<R, Args...>(self, true, db, f, std::forward<Given>(args)...);
}

/// As `rpc_and_wait`, but does not wait for the local database: `position()` says what to wait for,
/// here or on another node, and `visible()` is true only where the write ran on this node.
template <class R, class... Args, class... Given>
requires rpc::callable_with<R(Args...), Given...> caf::expected<repo::committed<R>>
rpc_primary(const repo::bound_database& db, const repo::write<R(Args...)>& f, Given&&... args) {
  return repo::detail::ask<R, Args...>(false, db, f, std::forward<Given>(args)...);
}

/// The same in the name of the actor `self`: `.then(on_value, on_error)`.
template <class R, class... Args, class... Given>
requires rpc::callable_with<R(Args...), Given...> repo::pending_write<R>
rpc_primary(caf::scheduled_actor* self, const repo::bound_database& db,
            const repo::write<R(Args...)>& f, Given&&... args) {
  return repo::detail::ask<R, Args...>(self, false, db, f, std::forward<Given>(args)...);
}

} // namespace fly

namespace fly::repo {

template <class... Ts>
auto bound_database::execute(std::string sql, const Ts&... parameters) const {
  return detail::execute(*this, std::move(sql), detail::gather(parameters...));
}

inline auto bound_database::outcome(std::string key) const {
  // A question about a key is no write with one.
  auto options = options_;
  options.key.reset();
  options.once = false;
  return fly::rpc_and_wait(bound_database{*db_, std::move(options)}, outcome_of_key,
                           std::move(key));
}

inline auto database::outcome(std::string key) const {
  return bound_database{*this}.outcome(std::move(key));
}

template <class... Ts>
auto database::execute(std::string sql, const Ts&... parameters) const {
  return bound_database{*this}.execute(std::move(sql), parameters...);
}

} // namespace fly::repo
