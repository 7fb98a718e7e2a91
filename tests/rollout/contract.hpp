#pragma once

#include <cstdint>
#include <string>

#include "fly/rpc/function.hpp"

/// A program in two versions. The second one's quote has a currency; the name is one and the same.
namespace fly::rollout {

namespace v1 {

struct quote {
  std::string item{};
  std::int32_t cents = 0;
};

template <class Inspector>
auto inspect(Inspector& f, quote& x) {
  return f(caf::meta::type_name("shop::quote"), x.item, x.cents);
}

} // namespace v1

namespace v2 {

struct quote {
  std::string item{};
  std::int32_t cents = 0;
  std::string currency{};
};

template <class Inspector>
auto inspect(Inspector& f, quote& x) {
  return f(caf::meta::type_name("shop::quote"), x.item, x.cents, x.currency);
}

} // namespace v2

inline constexpr rpc::function<v1::quote(std::string)> old_quote{"shop.quote"};
inline constexpr rpc::function<v2::quote(std::string)> new_quote{"shop.quote"};

/// How the node's own calls ended so far: those that were answered, and those that failed.
inline constexpr rpc::function<std::pair<std::int64_t, std::int64_t>()> calls{"shop.calls"};

} // namespace fly::rollout
