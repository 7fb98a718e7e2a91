#pragma once

#include <cstddef>
#include <span>

#include <caf/expected.hpp>
#include <caf/fwd.hpp>

#include "fly/rpc/function.hpp"

/// A CAF message as bytes: u8 count of values, the names of their types (text), then the values
/// (value_sink.hpp).
namespace fly::rpc {

/// Most values of a message that travels.
inline constexpr std::size_t parcel_values_max = 32;

/// Packs `content`. What travels are types that were registered in `system`
/// (`config.add_message_type<T>("name")`), and of CAF's own atoms, bool, numbers, texts, durations,
/// time points, std::vector<char>, and std::vector, std::set and std::map of std::string. What has
/// a meaning for one process only (handles of actors and groups, streams), and what CAF's actors
/// obey by themselves (exit and down messages), stays at home.
/// Errors, naming the type: errc::malformed_arguments.
caf::expected<bytes> pack(const caf::actor_system& system, const caf::type_erased_tuple& content);

/// Unpacks what `pack` wrote, or a stranger. Errors, naming the type: errc::malformed_arguments,
/// whatever the bytes are. Runs the `inspect` of registered types; what that throws is an error.
caf::expected<caf::message> unpack(const caf::actor_system& system,
                                   std::span<const std::byte> packed);

} // namespace fly::rpc
