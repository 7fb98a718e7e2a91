#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

namespace fly::cluster {

/// How much a line of the log matters.
enum class log_level : std::uint8_t { debug, info, warning, error };

/// Returns the level's name, "warning".
std::string_view to_string(log_level level) noexcept;

/// Takes a line of the log, no line break in it. On any thread, also at once; may throw in vain.
using log_sink = std::function<void(log_level, std::string_view)>;

/// Returns a sink that writes lines of `least` and above to stderr, as "fly: warning: text". Never
/// waits: while a pipe is full, because who reads it is stuck, lines are dropped, and counted in
/// the next one. Longer ones than a pipe takes whole (PIPE_BUF, 4 KiB) are cut.
log_sink log_to_stderr(log_level least = log_level::warning);

} // namespace fly::cluster
