#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/local/dns_server.hpp"
#include "apps/local/eventually.hpp"
#include "apps/local/postgres.hpp"
#include "apps/local/process.hpp"
#include "fly/cluster/node.hpp"
#include "fly/repo/database.hpp"
#include "fly/rpc/endpoint.hpp"
#include "tests/faults/tally.hpp"

namespace fly::faults {

using namespace std::chrono_literals;
using local::eventually;
using milliseconds = std::chrono::milliseconds;

inline constexpr milliseconds heartbeat{200};
inline constexpr milliseconds silence_max{1500};
inline constexpr milliseconds node_lease{2000};

/// How long `claim` took to hold; nothing where it did not within `longest`.
template <class Claim>
std::optional<milliseconds> time_until(Claim claim, milliseconds longest = 20s) {
  auto begin = clock::now();
  if (!eventually(std::move(claim), longest))
    return std::nullopt;
  return std::chrono::duration_cast<milliseconds>(clock::now() - begin);
}

inline milliseconds since(clock::time_point begin) {
  return std::chrono::duration_cast<milliseconds>(clock::now() - begin);
}

/// Who calls: a node of this process in region ams, with a replica of its own.
struct caller_node {
  caller_node(cluster::options where, repo::options database)
      : node(std::move(where)), rpc(node), db(rpc, std::move(database)) {}

  cluster::node node;
  rpc::endpoint rpc;
  repo::database db;
};

/// A cluster to be hurt: PostgreSQL with a primary and two replicas, dnsmasq, processes syd-1 and
/// syd-2 at the primary and lax-1 at a replica, which find each other through DNS; and the caller.
/// Not thread-safe.
class lab {
public:
  /// Starts all and waits until the caller sees them. Throws where that fails.
  lab();

  local::postgres servers;
  local::dns_server dns;

  caller_node& caller() { return *caller_; }
  local::postgres_server& lax_database() { return servers.replica(0); }

  /// Starts "syd-1", "syd-2" or "lax-1".
  void start(const std::string& id);
  /// Sends a signal to a node.
  void signal(const std::string& id, int number) { nodes_.at(id)->signal(number); }
  /// Kills a node and waits until it is gone.
  void kill(const std::string& id);
  /// Returns how the process ended; nothing while it runs.
  std::optional<std::string> ended(const std::string& id) { return nodes_.at(id)->ended(); }
  int pid(const std::string& id) const { return nodes_.at(id)->mark().pid; }

  /// Returns what the caller knows of a member, nothing where it does not see it.
  std::optional<cluster::member_view> view(const std::string& id) const;
  /// Returns whether the caller sees the member linked, alive, with its functions, and with a
  /// database that answers.
  bool is_well(const std::string& id) const;
  bool all_well() const;
  /// Waits until all are well; throws where they are not.
  void settle();

  /// Returns the names of the right hosts.
  std::vector<std::pair<std::string, std::string>> hosts() const;

  /// Makes the options of one more node in this process, at address number `host`.
  cluster::options node_options(const std::string& region, const std::string& id, int host) const;

  /// Returns the folder of the logs of the nodes.
  std::string log_of(const std::string& id) const { return nodes_.at(id)->log_tail(5); }

private:
  std::uint16_t port_;
  std::map<std::string, std::unique_ptr<local::process>> nodes_;
  std::unique_ptr<caller_node> caller_;
};

} // namespace fly::faults
