#pragma once

#include <concepts>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <caf/expected.hpp>
#include <caf/fwd.hpp>

#include "fly/rpc/codec.hpp"
#include "fly/rpc/endpoint.hpp"
#include "fly/rpc/type_text.hpp"

namespace fly::rpc {

/// The answer that an actor awaits: call `.then` in the same handler. The actor does not block.
/// Where it ends first, the call is cancelled. Only inside the actor.
template <class R>
class [[nodiscard]] reply {
public:
  explicit reply(actors::pending<bytes> raw) : raw_(std::move(raw)) {}

  /// Runs `on_value(R&)` (for void: `on_value()`) or `on_error(caf::error&)` inside the actor,
  /// exactly one of them, at the deadline at the latest.
  template <class OnValue, class OnError>
  void then(OnValue on_value, OnError on_error) && {
    std::move(raw_).then(
        [on_value = std::move(on_value), on_error](bytes& encoded) mutable {
          auto result = decode_result<R>(encoded); // here, and not on the I/O thread
          if (!result) {
            caf::error reason = result.error();
            on_error(reason);
          } else if constexpr (std::is_void_v<R>)
            on_value();
          else
            on_value(*result);
        },
        [on_error](caf::error& reason) mutable { on_error(reason); });
  }

private:
  actors::pending<bytes> raw_;
};

/// Calls with encoded arguments (or the error of encoding them) and blocks for the encoded result.
/// Where a `sink` is given it may have got that, once, and what is returned is empty then.
caf::expected<bytes> ask_raw(const bound_endpoint& rpc, const target& whom, std::string_view name,
                             const signature& wanted, caf::expected<bytes> arguments,
                             result_sink sink = {});

/// Calls with encoded arguments and waits for nothing; see `rpc_cast`.
caf::error cast_raw(const bound_endpoint& rpc, const target& whom, std::string_view name,
                    const signature& wanted, caf::expected<bytes> arguments);

/// Calls with encoded arguments in the name of `self`.
actors::pending<bytes> ask_raw(caf::scheduled_actor* self, const bound_endpoint& rpc,
                               const target& whom, std::string_view name, const signature& wanted,
                               caf::expected<bytes> arguments);

namespace detail {

template <class R, class... Args>
caf::expected<R> ask(const bound_endpoint& rpc, const target& whom, const function<R(Args...)>& f,
                     const std::type_identity_t<Args>&... args) {
  std::optional<caf::expected<R>> sunk;
  auto encoded =
      ask_raw(rpc, whom, f.name, signature_of<R(Args...)>(), encode(args...),
              [&sunk](std::span<const char> result) { sunk.emplace(decode_result<R>(result)); });
  if (!encoded)
    return encoded.error();
  return sunk ? std::move(*sunk) : decode_result<R>(*encoded);
}

template <class R, class... Args>
reply<R> ask(caf::scheduled_actor* self, const bound_endpoint& rpc, const target& whom,
             const function<R(Args...)>& f, const std::type_identity_t<Args>&... args) {
  return reply<R>{ask_raw(self, rpc, whom, f.name, signature_of<R(Args...)>(), encode(args...))};
}

template <class R, class... Args>
caf::error cast(const bound_endpoint& rpc, const target& whom, const function<R(Args...)>& f,
                const std::type_identity_t<Args>&... args) {
  return cast_raw(rpc, whom, f.name, signature_of<R(Args...)>(), encode(args...));
}

template <class Wanted, class... Given>
inline constexpr bool fits = false;

template <class R, class... Args, class... Given>
requires(sizeof...(Args) == sizeof...(Given)) inline constexpr bool fits<R(Args...), Given...> =
    (std::is_convertible_v<Given, Args> && ...);

} // namespace detail

/// Whether `Given...` can be passed where the function type `Signature` wants its arguments.
template <class Signature, class... Given>
concept callable_with = detail::fits<Signature, Given...>;

} // namespace fly::rpc

namespace fly {

/// Runs `f` on a member of `region` and returns its result; on this node where that is its own
/// region. Waits for a member where none is there. Blocks for at most `call_options::timeout`:
/// never call from an actor that shares threads. Errors: see `rpc::endpoint::start`.
template <class R, class... Args, class... Given>
requires rpc::callable_with<R(Args...), Given...> caf::expected<R>
rpc_region(const rpc::bound_endpoint& rpc, std::string_view region,
           const rpc::function<R(Args...)>& f, Given&&... args) {
  return rpc::detail::ask<R, Args...>(rpc, rpc::target::region(std::string{region}), f,
                                      std::forward<Given>(args)...);
}

/// The same in the name of the actor `self`: `.then(on_value, on_error)`.
template <class R, class... Args, class... Given>
requires rpc::callable_with<R(Args...), Given...> rpc::reply<R>
rpc_region(caf::scheduled_actor* self, const rpc::bound_endpoint& rpc, std::string_view region,
           const rpc::function<R(Args...)>& f, Given&&... args) {
  return rpc::detail::ask<R, Args...>(self, rpc, rpc::target::region(std::string{region}), f,
                                      std::forward<Given>(args)...);
}

/// Runs `f` on a member of the primary group and returns its result; on this node where it is one.
/// Waits for a primary where none is known. Blocks; errors as `rpc_region`, but errc::no_primary.
template <class R, class... Args, class... Given>
requires rpc::callable_with<R(Args...), Given...> caf::expected<R>
rpc_primary(const rpc::bound_endpoint& rpc, const rpc::function<R(Args...)>& f, Given&&... args) {
  return rpc::detail::ask<R, Args...>(rpc, rpc::target::primary(), f, std::forward<Given>(args)...);
}

/// The same in the name of the actor `self`: `.then(on_value, on_error)`.
template <class R, class... Args, class... Given>
requires rpc::callable_with<R(Args...), Given...> rpc::reply<R>
rpc_primary(caf::scheduled_actor* self, const rpc::bound_endpoint& rpc,
            const rpc::function<R(Args...)>& f, Given&&... args) {
  return rpc::detail::ask<R, Args...>(self, rpc, rpc::target::primary(), f,
                                      std::forward<Given>(args)...);
}

/// Runs `f` on the member `id` and returns its result. Waits for it where it is not there. Blocks;
/// errors as `rpc_region`, but errc::no_such_member.
template <class R, class... Args, class... Given>
requires rpc::callable_with<R(Args...), Given...> caf::expected<R>
rpc_member(const rpc::bound_endpoint& rpc, std::string_view id, const rpc::function<R(Args...)>& f,
           Given&&... args) {
  return rpc::detail::ask<R, Args...>(rpc, rpc::target::member(std::string{id}), f,
                                      std::forward<Given>(args)...);
}

/// The same in the name of the actor `self`: `.then(on_value, on_error)`.
template <class R, class... Args, class... Given>
requires rpc::callable_with<R(Args...), Given...> rpc::reply<R>
rpc_member(caf::scheduled_actor* self, const rpc::bound_endpoint& rpc, std::string_view id,
           const rpc::function<R(Args...)>& f, Given&&... args) {
  return rpc::detail::ask<R, Args...>(self, rpc, rpc::target::member(std::string{id}), f,
                                      std::forward<Given>(args)...);
}

/// Lets `f` run on a member of `whom` and wants no answer. Returns at once, also in an actor: an
/// empty error once a member has been given the call, or while it waits for one, at most for
/// `call_options::timeout`. It runs once or not at all; nobody hears of the latter, or of an error.
/// Errors, nothing ran: errc::overloaded (the bounds are those of a call), frame_too_large,
/// shutting_down, and what an interceptor says.
template <class R, class... Args, class... Given>
requires rpc::callable_with<R(Args...), Given...> caf::error
rpc_cast(const rpc::bound_endpoint& rpc, const rpc::target& whom,
         const rpc::function<R(Args...)>& f, Given&&... args) {
  return rpc::detail::cast<R, Args...>(rpc, whom, f, std::forward<Given>(args)...);
}

} // namespace fly
