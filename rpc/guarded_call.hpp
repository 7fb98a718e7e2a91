#pragma once

#include <span>
#include <string>

#include <caf/expected.hpp>

#include "fly/rpc/function.hpp"

namespace fly::rpc {

struct call_context;
struct served_function;

/// Runs a function as the current call of this thread (current_call.hpp) and returns what can be
/// sent. What it throws becomes errc::function_failed, with the details "exception" and "what"; a
/// thrown fly::failure or caf::error counts as returned; errors of other categories become
/// errc::function_failed.
caf::expected<bytes> call_guarded(const std::string& name, const served_function& function,
                                  const call_context& context, std::span<const char> arguments);

} // namespace fly::rpc
