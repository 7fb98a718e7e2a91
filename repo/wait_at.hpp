#pragma once

#include <chrono>
#include <memory>

#include <caf/unit.hpp>

#include "fly/actors/pending.hpp"
#include "fly/repo/place.hpp"
#include "fly/repo/position.hpp"

namespace fly::rpc {
class endpoint;
}

namespace fly::repo {

class database_core;

/// Waits until the databases of all members at `at` have a position: asks each of them to wait, so
/// that the answer is exact and comes with no heartbeat's delay. Members are those that are known
/// when it begins and have a database. `done` is called exactly once, on any thread, also before
/// this returns; what is returned ends it early. Errors, to `done`, each naming the member:
/// errc::not_visible, one was late, or does not answer; those of `lsn_tracker::wait_for` and of
/// `rpc::endpoint::start`. errc::no_node_in_region, nobody is there.
actors::expire wait_at(const rpc::endpoint& rpc, const std::shared_ptr<database_core>& core,
                       const place& at, const position& where,
                       std::chrono::steady_clock::time_point deadline,
                       actors::completion<caf::unit_t> done);

} // namespace fly::repo
