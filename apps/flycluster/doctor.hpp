#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "apps/flycluster/commands.hpp"
#include "fly/cluster/options.hpp"
#include "fly/repo/options.hpp"
#include "fly/rpc/members.hpp"

namespace fly::apps {

/// What the doctor found out about one thing. A value.
struct finding {
  enum class state : std::uint8_t {
    ok,      ///< As it should be.
    warning, ///< Works, and may not for long.
    problem, ///< Does not work.
  };

  std::string topic;
  enum state state = state::ok;
  std::string text;
  /// What to do; empty where nothing is to be done.
  std::string advice{};
};

using findings = std::vector<finding>;

/// What the doctor looks at.
struct patient {
  cluster::options cluster;
  repo::options repo;
  /// Longest time of one check.
  std::chrono::milliseconds timeout;
};

/// Looks at the options a node would have here: flags and environment.
findings check_environment(const patient& who);

/// Asks DNS for the cluster's name and adds what it says, "host:port", to `addresses`.
findings check_dns(const patient& who, std::vector<std::string>& addresses);

/// Tries to connect to each address. Blocks.
findings check_ports(const patient& who, const std::vector<std::string>& addresses);

/// Looks at the database of this place: what it is, and what the role may do. Blocks.
findings check_database(const patient& who);

/// Asks the members for what they see: databases, versions, clocks. Blocks.
findings check_members(const visit& here);

/// Judges what the members say of their databases. PURE.
findings judge_databases(const std::vector<rpc::member_report>& members);

/// Prints what was found. Returns `exit_done` where nothing is a problem, else `exit_failed`.
int print_findings(const findings& all, bool json);

} // namespace fly::apps
