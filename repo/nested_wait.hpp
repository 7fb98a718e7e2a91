#pragma once

#include <chrono>
#include <optional>

#include <caf/expected.hpp>

#include "fly/repo/connection_pool.hpp"

namespace fly::repo {

/// As `connection_pool::take`. For a function that has a connection of `pool` already, or whose
/// caller in this process has (rpc::holding_scope): such a wait may be one for itself. It ends when
/// a tenth of the time is left, so that the caller, whose deadline is the same, hears why: the
/// errc::overloaded says so. Blocks.
caf::expected<connection_pool::lease>
take_within(connection_pool& pool, connection_pool::time_point deadline,
            std::chrono::milliseconds grace, std::optional<std::chrono::milliseconds> answer_max);

} // namespace fly::repo
