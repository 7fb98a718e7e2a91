#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include <caf/error.hpp>

#include "fly/rpc/members.hpp"

namespace fly::apps {

/// Returns {"error": text, "code": "no_primary", "effect": "nothing ran"} and, where the error has
/// them, its details ("sqlstate", "constraint", "exception" ...).
nlohmann::json error_json(const caf::error& reason);

/// Returns what `flycluster status --json` prints of a member: id, region, role, state, timeline,
/// lsn ("0/3000060"), lag_us (-1 unknown), version, address, since (ISO 8601, UTC), reason.
nlohmann::json member_json(const rpc::member_report& member);

/// Returns what it prints of the leader: id ("" where nobody leads), timeline and counter of its
/// epoch (both 0 where there is no lease).
nlohmann::json leader_json(const rpc::leader_report& leader);

} // namespace fly::apps
