#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include <caf/error.hpp>
#include <caf/expected.hpp>

#include "fly/repo/within.hpp"
#include "fly/repo/write_handler.hpp"

namespace fly::repo {

/// A database without a cluster: for migrations, scripts and seeds. Functions run here and now, in
/// the transactions and with the errors of `database`; no node, no tracker, no tables of fly. With
/// `within` the verbs work on it:
///
///     fly::repo::local_database db{url};
///     auto made = db.write([](pqxx::transaction_base& tx) {
///       return fly::repo::within{tx}.insert(shop::order{.item = "pen", .count = 1});
///     });
///
/// Safe from any thread; blocks.
class local_database {
public:
  /// Connects at the first use. `timeout` bounds each call, the connecting in it: 1 ms to a
  /// day, else each call is errc::invalid_argument.
  explicit local_database(std::string url,
                          std::chrono::milliseconds timeout = std::chrono::minutes{1});
  ~local_database();

  local_database(const local_database&) = delete;
  local_database& operator=(const local_database&) = delete;

  /// Runs `f(transaction)`, commits, and returns its result, R or caf::expected<R>. Errors:
  /// errc::database_unavailable, errc::not_primary, errc::sql_failed, errc::function_failed,
  /// errc::overloaded, and what `f` returns: nothing remains. errc::outcome_unknown: it may be
  /// committed.
  template <class F>
  auto write(F f) const {
    return run(std::move(f), true);
  }

  /// Runs `f(transaction)` in a read-only transaction. Errors: as `database::read`.
  template <class F>
  auto read(F f) const {
    return run(std::move(f), false);
  }

private:
  using body = std::function<caf::error(pqxx::transaction_base&)>;
  caf::error run_raw(const body& f, bool writes) const;

  template <class F>
  auto run(F f, bool writes) const {
    using given = std::invoke_result_t<F&, pqxx::transaction_base&>;
    using R = typename detail::plain<given>::type;
    if constexpr (std::is_void_v<R>) {
      return caf::expected<void>{run_raw(
          [&](pqxx::transaction_base& tx) -> caf::error {
            if constexpr (std::is_void_v<given>)
              return f(tx), caf::error{};
            else
              return detail::error_in(f(tx));
          },
          writes)};
    } else {
      std::optional<R> value;
      auto reason = run_raw(
          [&](pqxx::transaction_base& tx) -> caf::error {
            caf::expected<R> outcome = f(tx);
            if (!outcome)
              return std::move(outcome.error());
            value.emplace(std::move(*outcome));
            return {};
          },
          writes);
      return reason ? caf::expected<R>{std::move(reason)} : caf::expected<R>{std::move(*value)};
    }
  }

  struct parts;
  std::unique_ptr<parts> parts_;
};

} // namespace fly::repo
