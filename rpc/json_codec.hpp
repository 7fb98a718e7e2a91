#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <caf/expected.hpp>

#include "fly/rpc/function.hpp"
#include "fly/rpc/signature.hpp"

/// JSON to encoded values and back, by the text of a signature alone: for tools, which do not know
/// the types. Numbers, booleans and strings are JSON's; an optional is null or the value; a
/// sequence, an array, a tuple and the fields of an object are an array; a map is an object where
/// its keys are strings, else an array of pairs. Infinities and NaN become null and cannot be
/// given.
namespace fly::rpc {

/// Deepest nesting of JSON, and most values of one text: what is larger is refused.
inline constexpr std::size_t json_depth_max = 64;
inline constexpr std::size_t json_values_max = 1'000'000;

/// Encodes a JSON array of values as `types` say. Errors: errc::invalid_argument naming the place.
caf::expected<bytes> json_to_bytes(const std::vector<type_node>& types, std::string_view json);

/// Decodes one value of `type` to JSON; "null" for void. Text that is no UTF-8 has its wrong bytes
/// replaced. Errors: errc::malformed_result.
caf::expected<std::string> bytes_to_json(const type_node& type, std::span<const char> encoded);

} // namespace fly::rpc
