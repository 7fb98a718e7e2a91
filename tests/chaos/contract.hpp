#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "fly/repo/write.hpp"
#include "fly/rpc/function.hpp"

/// What the nodes of the chaos runs may ask one another.
namespace fly::chaos {

/// Appends a value to a list.
inline constexpr repo::write<std::int64_t(std::string, std::string)> append{"chaos.append"};
/// The same on the leader, and takes that many milliseconds before it ends.
inline constexpr repo::write<std::int64_t(std::string, std::string, std::int32_t)> lead{
    "chaos.lead"};
/// What a user reads elsewhere, and the token to go on with: "" where it is not known any more what
/// was seen.
using seen_list = std::pair<std::vector<std::string>, std::string>;
/// Reads a list on the local database of who is asked, as far as the token says.
inline constexpr rpc::function<seen_list(std::string, std::string)> read_at{"chaos.read_at"};
/// A function of two versions: the second one's has a currency.
inline constexpr rpc::function<std::int32_t(std::string)> old_price{"chaos.price"};
inline constexpr rpc::function<std::int32_t(std::string, std::string)> new_price{"chaos.price"};
/// Takes its time; one runs, and `crowd_queue_max` wait.
inline constexpr rpc::function<std::int32_t()> crowded{"chaos.crowded"};
inline constexpr std::size_t crowd_queue_max = 8;

} // namespace fly::chaos
