#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <caf/expected.hpp>

#include "apps/flycluster/commands.hpp"
#include "fly/rpc/explain.hpp"
#include "fly/rpc/members.hpp"

namespace fly::apps {

/// A call that a member has made for us, as it is shown. A value.
struct explained {
  std::string name;
  rpc::member_report from;
  /// Where `what.member` is; empty where it is not known.
  std::string served_region;
  /// Whether the function is a write, and whether the member that asked has a database to wait for.
  bool is_write = false;
  bool has_database = false;
  rpc::explanation what;
  /// The function's own result as JSON; "null" with an error.
  std::string result = "null";
};

/// Returns who is to make the call: the member with the id `wanted`, or one of that region; where
/// nothing is wanted one of `own_region`, else any. Members that are alive come before suspects.
/// Errors: errc::no_such_member, naming who is seen.
caf::expected<rpc::member_report> choose_asker(const std::vector<rpc::member_report>& seen,
                                               std::string_view wanted,
                                               std::string_view own_region);

/// Returns how long the part `name` took; nothing where the call had none, or did not reach it.
std::optional<std::chrono::microseconds> part_of(const explained& call, std::string_view name);

/// Returns why a part that is not there is not: "no write: nothing to commit".
std::string why_absent(const explained& call, std::string_view name);

/// Prints the parts, the result or the error. Returns `exit_done` with a result, else
/// `exit_failed`.
int print_explained(const explained& call, bool json);

} // namespace fly::apps
