#pragma once

#include <string_view>

#include "fly/repo/write_call.hpp"
#include "fly/rpc/explain.hpp"

/// One real write, made by a member for a visitor and timed by part, the wait until that member's
/// database has it among them.
namespace fly::repo {

/// From the answer until the local database had the write, as far as the tracker has asked.
inline constexpr std::string_view replication_part = "replication";
/// From then until the caller's thread went on.
inline constexpr std::string_view wake_part = "wake";

/// Served by every database: as `rpc::explain`, for writes. Blocks a worker meanwhile.
inline constexpr rpc::function<rpc::explanation(rpc::explain_request)> explain_write{
    "fly.explain_write"};

/// Makes the write in the name of `rpc`, waits until `tracker` says that the local database has it,
/// and returns where the time went; the errors of the write stand in the explanation. A write that
/// ran on this node waits for nothing and has neither of the last parts. Blocks.
rpc::explanation explain_write_call(const rpc::endpoint& rpc, std::shared_ptr<lsn_tracker> tracker,
                                    rpc::explain_request asked);

} // namespace fly::repo
