#pragma once

#include <cstdint>
#include <string>

#include "fly/repo/write.hpp"
#include "fly/rpc/function.hpp"

/// What the nodes of the fault tests may ask one another.
namespace fly::faults {

/// Returns the id of the node that was asked; any text may come along as load.
inline constexpr rpc::function<std::string(std::string)> where{"fault.where"};
/// Takes that many milliseconds, then returns the id of the node.
inline constexpr rpc::function<std::string(std::int32_t)> slow{"fault.slow"};
/// Returns how many calls of `slow` run on the node, whether or not it has a worker left.
inline constexpr rpc::function<std::int32_t()> running{"fault.running"};
/// Returns how many rows the node's local database has.
inline constexpr rpc::function<std::int64_t()> count{"fault.count"};
/// Adds a row and returns its number.
inline constexpr repo::write<std::int64_t(std::string)> add{"fault.add"};

/// Adds a row on the leader, takes that many milliseconds, then returns the id of the node.
inline constexpr repo::write<std::string(std::string, std::int32_t)> lead{"fault.lead"};

} // namespace fly::faults
