#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <caf/expected.hpp>

#include "fly/cluster/node.hpp"
#include "fly/rpc/endpoint.hpp"
#include "fly/rpc/members.hpp"

namespace fly::apps {

/// A visit to the cluster: an observer that has met at least one member.
struct visit {
  const cluster::node& node;
  const rpc::endpoint& rpc;
  /// Longest time of one call.
  std::chrono::milliseconds timeout;
  /// Print JSON instead of text.
  bool json = false;
};

/// Exit codes of flycluster: done; the cluster said no, or is not there; a mistake in the command.
inline constexpr int exit_done = 0;
inline constexpr int exit_failed = 1;
inline constexpr int exit_usage = 2;

/// The members as one of them sees them.
struct surroundings {
  std::string seen_by;
  std::vector<rpc::member_report> members;
};

/// Asks the members one after the other for what they see, until one answers. Errors: the last
/// one's.
caf::expected<surroundings> look_around(const visit& here);

/// Prints the members as one of them sees them. Returns the exit code.
int run_status(const visit& here);

/// Calls `words[0]` with the JSON texts behind it on the member that `whom` names, and prints the
/// result as JSON; a write happens once for its `key`, unless that is empty. Returns the exit code.
int run_call(const visit& here, const rpc::target& whom, const std::vector<std::string>& words,
             const std::string& key);

/// Lets the member or region `from` (empty: one of the tool's region, else any) call `words[0]`
/// with the JSON texts behind it on the member that `whom` names, and prints where the time went.
/// Returns the exit code.
int run_explain(const visit& here, const std::string& from, const rpc::target& whom,
                const std::vector<std::string>& words);

/// Returns the JSON texts behind `words[0]` as one JSON array. Errors: errc::invalid_argument,
/// naming the first that is none.
caf::expected<std::string> json_arguments(const std::vector<std::string>& words);

/// Prints an error as text, or as JSON on standard output, and returns `exit_failed`.
int print_error(bool json, const caf::error& reason);

} // namespace fly::apps
