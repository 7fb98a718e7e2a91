#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include <caf/expected.hpp>

#include "fly/rpc/call.hpp"
#include "fly/rpc/function.hpp"

/// Calls for tools, which know a function's name and not its types.
namespace fly::rpc {

class bound_endpoint;

/// Served by every endpoint: the names that it serves and their signatures.
inline constexpr function<std::map<std::string, std::string>()> describe{"fly.describe"};

/// Served by every endpoint: its clock, in microseconds since the epoch, UTC.
inline constexpr function<std::int64_t()> clock_us{"fly.clock"};

/// Calls `name` at `whom` with `arguments`, a JSON array, and returns the result as JSON
/// (json_codec.hpp). Asks the member for the function's types first. Blocks, at most the timeout of
/// `rpc` in all. Errors: errc::invalid_argument (the arguments are not those types'),
/// errc::unknown_function, and those of `endpoint::start`.
caf::expected<std::string> call_json(const bound_endpoint& rpc, const target& whom,
                                     std::string_view name, std::string_view arguments);

} // namespace fly::rpc
