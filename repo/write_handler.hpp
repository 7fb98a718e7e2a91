#pragma once

#include <functional>
#include <memory>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>

#include <caf/error.hpp>
#include <caf/expected.hpp>

#include "fly/repo/write_call.hpp"
#include "fly/repo/write_reply.hpp"
#include "fly/rpc/call.hpp"
#include "fly/rpc/codec.hpp"
#include "fly/rpc/returned.hpp"

namespace pqxx {
class transaction_base;
}

namespace fly::repo {

namespace detail {

/// What a function's result is without the chance of an error.
template <class T>
struct plain {
  using type = T;
};
template <class T>
struct plain<caf::expected<T>> {
  using type = T;
};
template <>
struct plain<caf::error> {
  using type = void;
};

inline caf::error error_in(caf::error reason) {
  return reason;
}
inline caf::error error_in(const caf::expected<void>& outcome) {
  return outcome ? caf::error{} : outcome.error();
}

template <class R, class Given>
concept write_outcome_of = std::convertible_to<Given, caf::expected<R>> ||
    (std::is_void_v<R> && (std::is_void_v<Given> || std::convertible_to<Given, caf::error>));

template <class F, class R, class... Args>
consteval bool handles_write() {
  if constexpr (std::is_invocable_v<F&, pqxx::transaction_base&, Args...>)
    return write_outcome_of<R, std::invoke_result_t<F&, pqxx::transaction_base&, Args...>>;
  else if constexpr (std::is_invocable_v<F&, pqxx::transaction_base&, const rpc::call_context&,
                                         Args...>)
    return write_outcome_of<
        R, std::invoke_result_t<F&, pqxx::transaction_base&, const rpc::call_context&, Args...>>;
  else
    return false;
}

} // namespace detail

/// What can serve `write<R(Args...)>`: takes a pqxx::transaction_base&, perhaps a
/// `const rpc::call_context&`, and the arguments, and returns R or caf::expected<R>; for void also
/// nothing or caf::error.
template <class F, class R, class... Args>
concept write_handler_of = detail::handles_write<F, R, Args...>();

/// Runs a write on encoded arguments inside a transaction and returns its encoded result. Called
/// from many threads at once; may throw.
using raw_write_handler = std::function<caf::expected<rpc::bytes>(
    pqxx::transaction_base& tx, const rpc::call_context& context, std::span<const char> arguments)>;

/// Makes a handler of bytes from a typed one. Errors of the result: errc::malformed_arguments,
/// errc::malformed_result, and those that `handler` returns.
template <class R, class... Args, write_handler_of<R, Args...> F>
raw_write_handler make_write_handler(F handler) {
  auto shared = std::make_shared<F>(std::move(handler)); // std::function wants copies
  return [shared](pqxx::transaction_base& tx, const rpc::call_context& context,
                  std::span<const char> arguments) -> caf::expected<rpc::bytes> {
    std::tuple<Args...> values;
    auto decoded = std::apply(
        [&](Args&... each) { return rpc::decode(errc::malformed_arguments, arguments, each...); },
        values);
    if (decoded)
      return decoded;
    auto run = [&](Args&... each) -> decltype(auto) {
      if constexpr (std::is_invocable_v<F&, pqxx::transaction_base&, Args...>)
        return (*shared)(tx, std::move(each)...);
      else
        return (*shared)(tx, context, std::move(each)...);
    };
    if constexpr (std::is_void_v<R>) {
      if constexpr (std::is_void_v<decltype(std::apply(run, values))>)
        std::apply(run, values);
      else if (auto reason = detail::error_in(std::apply(run, values)))
        return rpc::as_rolled_back(reason);
      return rpc::bytes{};
    } else {
      caf::expected<R> outcome = std::apply(run, values);
      if (!outcome)
        return rpc::as_rolled_back(outcome.error());
      auto encoded = rpc::encode(*outcome);
      if (!encoded)
        return make_error(errc::malformed_result, text_of(encoded.error()));
      return encoded;
    }
  };
}

/// Decodes the result of a committed write. Errors: errc::malformed_result, it is committed.
template <class R>
caf::expected<committed<R>> to_committed(raw_committed raw) {
  auto value = rpc::decode_result<R>(raw.value);
  if (!value)
    return but_committed(value.error());
  if constexpr (std::is_void_v<R>)
    return committed<R>{caf::unit, std::move(raw.report)};
  else
    return committed<R>{std::move(*value), std::move(raw.report)};
}

} // namespace fly::repo
