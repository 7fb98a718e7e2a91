#pragma once

#include <string_view>
#include <type_traits>

namespace fly::repo {

template <class Signature>
struct write;

/// A typed name of a function that runs inside one transaction on the primary, to be shared in one
/// header: `inline constexpr fly::repo::write<order(std::string, int)> place{"shop.place"};`. The
/// types are those of `rpc::function`. It is served with `database::serve` and called with
/// `fly::rpc_and_wait` and `fly::rpc_primary`.
template <class R, class... Args>
struct write<R(Args...)> {
  static_assert(std::is_same_v<R, std::decay_t<R>>, "a result travels as a value");
  static_assert((std::is_same_v<Args, std::decay_t<Args>> && ...), "arguments travel as values");

  /// Takes the name: 1 to 200 bytes, unique in the cluster among writes and functions, of static
  /// lifetime. Names that begin with "fly." belong to fly.
  constexpr explicit write(const char* name) : name(name) {}

  std::string_view name;
};

/// The name of the function that runs the statements of the verbs, at each database.
inline constexpr auto write_rows_name = "fly.write_rows";

} // namespace fly::repo
