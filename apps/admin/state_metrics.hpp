#pragma once

#include <vector>

#include <prometheus/metric_family.h>

namespace fly::actors {
class supervisor;
}
namespace fly::repo {
class database;
}
namespace fly::rpc {
class endpoint;
}

namespace fly::admin {

/// Returns what node, endpoint, database and supervisor are at this moment: members, links, unsent
/// bytes, calls under way, lag, waiters, connections, restarts. `db` and `tree` may be null: their
/// metrics are left out. A lag that is not known is left out too, and the end of a certificate
/// where there is none. Safe from any thread.
std::vector<prometheus::MetricFamily>
state_metrics(const rpc::endpoint& rpc, const repo::database* db, const actors::supervisor* tree);

} // namespace fly::admin
