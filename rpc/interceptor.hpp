#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <caf/error.hpp>
#include <caf/expected.hpp>

#include "fly/rpc/call.hpp"

namespace fly::rpc {

/// A call that a function is about to run for. Valid during the interceptor's call.
struct incoming_call {
  std::string_view name;
  const call_context& context;
  std::span<const char> arguments; ///< Encoded (codec.hpp).
};

/// Goes around a served function: calls `next` once, or answers by itself, mostly with an error. On
/// the function's thread, several at once; what it throws counts as thrown by the function, and so
/// does an error that it puts in the place of the function's outcome: nobody is told that nothing
/// ran.
using server_interceptor = std::function<caf::expected<bytes>(
    const incoming_call& call, const std::function<caf::expected<bytes>()>& next)>;

/// A call that is about to be made. Valid during the interceptor's call.
struct outgoing_call {
  const target& whom;
  std::string_view name;
  const bytes& arguments; ///< Encoded (codec.hpp).
  call_traits& traits;    ///< May be changed: its `trace`, say.
  /// May be replaced by one that looks at the outcome and passes it on. On the thread that has the
  /// outcome, the I/O thread mostly: it must not block. Where it throws before it has passed
  /// something on, the caller gets the outcome's error; errc::function_failed in a result's place.
  /// One that is dropped is errc::outcome_unknown, one that is kept errc::timeout a second after
  /// the deadline.
  raw_reply& reply;
};

/// Looks at a call before it is made. An error ends it: the caller gets that, nothing ran; what it
/// throws is errc::invalid_argument. On the caller's thread, several at once; must not block.
using caller_interceptor = std::function<caf::error(outgoing_call& call)>;

/// Shows `call` to `all` in their order, until one ends it: returns that one's error. `call.reply`
/// takes the outcome in both cases, and throws nothing.
caf::error show(const std::vector<caller_interceptor>& all, outgoing_call& call);

/// Puts `all` around `handler`, the first outermost. Keeps both.
raw_handler intercepted(std::string name, std::vector<server_interceptor> all, raw_handler handler);

/// Lets only calls through to `handler` that `rules` allow; none that is timed by part, which a
/// member makes in its own name for somebody else (explain.hpp). Errors of the others:
/// errc::not_allowed.
raw_handler allowed(std::vector<caller_rule> rules, raw_handler handler);

/// Returns an error where the caller of `context` fits in none of `rules`; calls of the own process
/// and those without rules may always. Errors: errc::not_allowed, saying whom it is for.
caf::error check_allowed(const std::vector<caller_rule>& rules, const call_context& context);

/// Returns whether the caller of `context` fits in `rule`.
bool fits(const caller_rule& rule, const call_context& context);

} // namespace fly::rpc
