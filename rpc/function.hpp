#pragma once

#include <string_view>
#include <type_traits>
#include <vector>

#include <caf/meta/type_name.hpp>

namespace fly::rpc {

/// Encoded arguments or an encoded result; the buffer that CAF's own serializers use.
using bytes = std::vector<char>;

template <class Signature>
struct function;

/// A typed name of a function that members of the cluster serve and call, to be shared in one
/// header: `inline constexpr fly::rpc::function<std::string(std::string)> shout{"shop.shout"};`.
/// Arguments and result are values: numbers, enums, strings, durations, containers, tuples,
/// optionals, and types with CAF's `inspect`. A call with other arguments does not compile.
template <class R, class... Args>
struct function<R(Args...)> {
  static_assert(std::is_same_v<R, std::decay_t<R>>, "a result travels as a value");
  static_assert((std::is_same_v<Args, std::decay_t<Args>> && ...), "arguments travel as values");

  /// Takes the name, "shop.shout": 1 to 200 bytes, unique in the cluster, of static lifetime.
  /// Names that begin with "fly." belong to fly.
  constexpr explicit function(const char* name) : name(name) {}

  std::string_view name;
};

} // namespace fly::rpc
