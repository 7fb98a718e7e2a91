#pragma once

#include <concepts>
#include <memory>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>

#include <caf/error.hpp>
#include <caf/expected.hpp>

#include "fly/rpc/call.hpp"
#include "fly/rpc/codec.hpp"
#include "fly/rpc/returned.hpp"
#include "fly/rpc/type_text.hpp"

namespace fly::rpc {

namespace detail {

template <class R, class Given>
concept outcome_of = std::convertible_to<Given, caf::expected<R>> ||
    (std::is_void_v<R> && (std::is_void_v<Given> || std::convertible_to<Given, caf::error>));

template <class F, class R, class... Args>
consteval bool handles() {
  if constexpr (std::is_invocable_v<F&, Args...>)
    return outcome_of<R, std::invoke_result_t<F&, Args...>>;
  else if constexpr (std::is_invocable_v<F&, const call_context&, Args...>)
    return outcome_of<R, std::invoke_result_t<F&, const call_context&, Args...>>;
  else
    return false;
}

inline caf::error told_to_stop() {
  return make_error(errc::timeout, "the function returned after its call was cancelled");
}

} // namespace detail

/// Whose errors a handler returns: those of a function, which has run by then (returned.hpp), or
/// those of fly's own parts, which say what became of the call.
enum class errors_of : std::uint8_t { function, fly };

/// What can serve `function<R(Args...)>`: takes the arguments, perhaps a `const call_context&`
/// before them, and returns R or caf::expected<R>; for void also nothing or caf::error.
template <class F, class R, class... Args>
concept handler_of = detail::handles<F, R, Args...>();

/// Makes a handler of bytes from a typed one: decodes, runs, encodes. Errors of the result:
/// errc::malformed_arguments, malformed_result, those that `handler` returns, and errc::timeout
/// where it takes the context and the call is cancelled when it returns: what a function returns
/// that was told to stop is no result.
template <class R, class... Args, handler_of<R, Args...> F>
raw_handler make_raw_handler(F handler, errors_of whose = errors_of::function) {
  auto shared = std::make_shared<F>(std::move(handler)); // std::function wants copies
  return [shared, whose](const call_context& context,
                         std::span<const char> arguments) -> caf::expected<bytes> {
    (void)whose; // where nothing but a value is returned
    std::tuple<Args...> values;
    auto decoded = std::apply(
        [&](Args&... each) { return decode(errc::malformed_arguments, arguments, each...); },
        values);
    if (decoded)
      return decoded;
    constexpr bool told = !std::is_invocable_v<F&, Args...>;
    auto run = [&](Args&... each) -> decltype(auto) {
      if constexpr (!told)
        return (*shared)(std::move(each)...);
      else
        return (*shared)(context, std::move(each)...);
    };
    if constexpr (std::is_void_v<R>) {
      if constexpr (std::is_void_v<decltype(std::apply(run, values))>) {
        std::apply(run, values);
      } else {
        caf::expected<void> outcome = std::apply(run, values);
        if (!outcome)
          return whose == errors_of::fly ? outcome.error() : as_returned(outcome.error());
      }
      if (told && context.cancelled())
        return detail::told_to_stop();
      return bytes{};
    } else {
      caf::expected<R> outcome = std::apply(run, values);
      if (!outcome)
        return whose == errors_of::fly ? outcome.error() : as_returned(outcome.error());
      if (told && context.cancelled())
        return detail::told_to_stop();
      auto encoded = encode(*outcome);
      if (!encoded)
        return make_error(errc::malformed_result, text_of(encoded.error()));
      return encoded;
    }
  };
}

} // namespace fly::rpc
