#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include <caf/expected.hpp>

#include "fly/rpc/call.hpp"
#include "fly/rpc/function.hpp"
#include "fly/rpc/signature.hpp"

/// Calls for tools, which know a function's name and not its types.
namespace fly::rpc {

class bound_endpoint;

/// Served by every endpoint: the names that it serves and their signatures.
inline constexpr function<std::map<std::string, std::string>()> describe{"fly.describe"};

/// Served by every endpoint: its clock, in microseconds since the epoch, UTC.
inline constexpr function<std::int64_t()> clock_us{"fly.clock"};

/// The mark of a signature whose first argument is a key that its callers do not see: a write of
/// the floor above.
inline constexpr std::string_view keyed_mark = "write";

/// Encodes a JSON array of arguments as `types` say; where those have `keyed_mark`, after `key`.
/// Errors: errc::invalid_argument naming the place.
caf::expected<bytes> encode_arguments(const function_type& types, std::string_view json,
                                      const std::string& key = {});

/// Calls `name` at `whom` with `arguments`, a JSON array, and returns the result as JSON
/// (json_codec.hpp). Asks the member for the function's types first. Blocks, at most the timeout of
/// `rpc` in all. A write happens once for its `key`, unless that is empty. Errors:
/// errc::invalid_argument (the arguments are not those types'), errc::unknown_function, and those
/// of `endpoint::start`.
caf::expected<std::string> call_json(const bound_endpoint& rpc, const target& whom,
                                     std::string_view name, std::string_view arguments,
                                     const std::string& key = {});

} // namespace fly::rpc
