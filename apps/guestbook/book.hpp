#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <caf/expected.hpp>

#include "apps/guestbook/contract.hpp"
#include "fly/repo/database.hpp"
#include "fly/rpc/endpoint.hpp"

namespace guestbook {

/// Offers the functions of the contract on this node. Call before the node joins.
void serve(fly::rpc::endpoint& rpc, fly::repo::database& db);

/// Returns the newest entries, newest first: as fresh as the options of `db` want. Blocks.
/// Errors: those of `fly::repo::bound_database::query`.
caf::expected<std::vector<entry>> newest(const fly::repo::bound_database& db, int count_max);

/// Writes an entry on the primary and returns when it can be read here. Blocks.
/// Errors: errc::invalid_argument for an empty or overlong author or text, nothing ran; else those
/// of `fly::rpc_and_wait`.
caf::expected<fly::repo::committed<entry>> add(const fly::repo::bound_database& db,
                                               const std::string& region, std::string author,
                                               std::string text);

} // namespace guestbook
