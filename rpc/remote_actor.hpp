#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <caf/meta/type_name.hpp>

#include "fly/rpc/call.hpp"
#include "fly/rpc/function.hpp"

namespace fly::rpc {

/// What a member says of an actor when it publishes it.
struct publish_options {
  /// Who may speak with it: one rule is enough; empty for everybody. The own process always may.
  std::vector<caller_rule> allow{};
};

/// Where a published actor is: the process, and its number there. A value.
struct actor_place {
  std::string member;
  std::uint64_t incarnation = 0;
  std::uint64_t publication = 0;
};

template <class Inspector>
auto inspect(Inspector& f, actor_place& x) {
  return f(caf::meta::type_name("fly::actor_place"), x.member, x.incarnation, x.publication);
}

/// Served by every endpoint that can publish actors: where the actor of that name is.
inline constexpr function<actor_place(std::string)> find_actor{"fly.actor"};

} // namespace fly::rpc
