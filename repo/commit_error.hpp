#pragma once

#include <string>

#include <caf/error.hpp>

#include "fly/actors/error.hpp"
#include "fly/repo/server_error.hpp"

namespace fly::repo {

/// Returns whether a statement with this command tag has succeeded.
bool has_tag(const server_report& report, const char* tag);

/// Returns errc::outcome_unknown for a commit of which only `why` is known.
caf::error unknown_commit(const std::string& why, error_details details = {});

/// Turns how a round trip failed that has guard and COMMIT into an error, by what the server has
/// said meanwhile. `at_guard`: whether it was the guard that failed, where a statement did. Errors:
/// errc::outcome_unknown, with the detail "committed" where the server had confirmed it; otherwise
/// nothing remains: errc::not_primary where the guard refused, else as `to_write_error`.
caf::error error_of_commit(const server_report& report, bool at_guard);

} // namespace fly::repo
