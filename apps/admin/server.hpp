#pragma once

#include <chrono>
#include <memory>
#include <string>

#include <caf/error.hpp>

#include "fly/cluster/node.hpp"
#include "fly/repo/database.hpp"
#include "fly/rpc/endpoint.hpp"

namespace fly::actors {
class supervisor;
}

namespace fly::admin {

/// What a `server` is made with.
struct server_options {
  /// Where to listen, "127.0.0.1:9100" or "[fdaa::1]:9100": loopback (this machine) or 6PN (every
  /// app of the organisation reaches it), nothing else, and nobody is asked for a secret. Port 0
  /// takes any free one.
  std::string listen = "127.0.0.1:9100";
  /// Whose restarts are counted; null: none are shown. Outlives the server.
  const actors::supervisor* tree = nullptr;
  /// Longest time that /readyz gives the local database, 10 ms to 10 s.
  std::chrono::milliseconds ready_timeout{1000};
};

/// Answers those who watch a node, over HTTP on a port of its own:
///   /metrics  for Prometheus: calls by function, side, outcome and region; members, links, lag,
///             waiters, connections, restarts
///   /healthz  200 as long as the process answers
///   /readyz   200 where a primary is known and the local database answers, else 503 with the
///             reason
///   /status   the members, as `flycluster status --json` prints them
/// Hears of the endpoint's calls (`rpc::endpoint::observe`) as long as it runs. A resource: not
/// copied, not moved. Safe from any thread.
class server {
public:
  /// Watches a node with a database. All three, and the supervisor of the options, outlive it.
  server(const cluster::node& node, rpc::endpoint& rpc, const repo::database& db,
         server_options options = {});

  /// Watches a node without one.
  server(const cluster::node& node, rpc::endpoint& rpc, server_options options = {});

  /// Stops as `stop` does.
  ~server();

  server(const server&) = delete;
  server& operator=(const server&) = delete;

  /// Listens and begins to count calls. Call once.
  /// Errors, and then nothing was started: errc::invalid_argument (an address that may not be
  /// listened on; it was started already), errc::cannot_listen.
  caf::error start();

  /// Stops listening and counting; idempotent. Blocks until running requests are answered.
  void stop();

  /// Returns where it listens, "127.0.0.1:9100"; empty before `start`.
  std::string address() const;

private:
  class impl;
  std::unique_ptr<impl> impl_;
};

} // namespace fly::admin
