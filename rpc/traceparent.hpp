#pragma once

#include <string_view>

namespace fly::rpc {

/// Returns whether `text` is a traceparent of W3C Trace Context: version, trace id, parent id and
/// flags in small hexadecimal digits, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01". Of
/// later versions more may follow, 512 bytes in all at most. Pure.
bool is_traceparent(std::string_view text) noexcept;

} // namespace fly::rpc
