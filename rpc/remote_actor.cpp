// The part of endpoint.hpp that is about actors: endpoint::publish, bound_endpoint::actor.
#include "fly/rpc/remote_actor.hpp"

#include <utility>

#include <caf/actor.hpp>
#include <caf/actor_cast.hpp>

#include "fly/actors/error.hpp"
#include "fly/cluster/node.hpp"
#include "fly/rpc/codec.hpp"
#include "fly/rpc/current_call.hpp"
#include "fly/rpc/endpoint.hpp"
#include "fly/rpc/endpoint_core.hpp"
#include "fly/rpc/type_text.hpp"

namespace fly::rpc {

namespace {

/// A member of an older version answers that it has no function "fly.actor".
caf::error explained(const caf::error& reason, const std::string& member) {
  if (reason != errc::unknown_function || details_of(reason).contains("actor"))
    return reason;
  return make_error(errc::unknown_function,
                    member + " has an older version of fly, which publishes no actors");
}

caf::expected<caf::actor> arrive(endpoint_core& core, const bytes& answer,
                                 const std::string& name) {
  auto place = decode_result<actor_place>(answer);
  if (!place)
    return place.error();
  auto self = core.node().self();
  if (place->member == self.id && place->incarnation == self.incarnation) {
    if (auto here = core.exports().local(place->publication))
      return caf::actor_cast<caf::actor>(here);
    return make_error(errc::unknown_function, name + " has ended");
  }
  auto link = core.node().channel_to(place->member);
  if (!link || link->peer().incarnation != place->incarnation)
    return make_error(errc::no_such_member, "there is no link to " + place->member);
  return core.imports().adopt(link, place->publication, name);
}

/// The starter refers to what it was made from: it is run within the same expression.
actors::starter<caf::actor> starter_of(const bound_endpoint& rpc, endpoint_core& core,
                                       std::string_view member, std::string_view name) {
  return [&rpc, &core, member = std::string{member},
          name = std::string{name}](actors::completion<caf::actor> done) -> actors::expire {
    if (auto wrong = rpc.check()) {
      done(std::move(wrong));
      return [] {};
    }
    auto arguments = encode(name);
    auto reply = [weak = core.weak_from_this(), member, name,
                  done = std::move(done)](caf::expected<bytes> outcome) {
      auto alive = weak.lock();
      if (!outcome)
        done(explained(outcome.error(), member));
      else if (alive)
        done(arrive(*alive, *outcome, name));
      else
        done(make_error(errc::shutting_down, "the endpoint is closing"));
    };
    return rpc.rpc().start(target::member(member), find_actor.name,
                           signature_of<actor_place(std::string)>(), std::move(*arguments),
                           rpc.deadline(), std::move(reply), {}, rpc.traits());
  };
}

} // namespace

caf::error endpoint::publish(std::string name, const caf::actor& who, publish_options options) {
  if (core_->refusal())
    return core_->refusal();
  return core_->exports().publish(std::move(name), who, std::move(options.allow));
}

void endpoint::unpublish(std::string_view name) {
  core_->exports().unpublish(name);
}

caf::expected<caf::actor> endpoint::actor(std::string_view member, std::string_view name) const {
  return with({}).actor(member, name);
}

actors::pending<caf::actor> endpoint::actor(caf::scheduled_actor* self, std::string_view member,
                                            std::string_view name) const {
  return with({}).actor(self, member, name);
}

caf::expected<caf::actor> bound_endpoint::actor(std::string_view member,
                                                std::string_view name) const {
  return ask_cancellable<caf::actor>(deadline(), starter_of(*this, *rpc_->core_, member, name));
}

actors::pending<caf::actor> bound_endpoint::actor(caf::scheduled_actor* self,
                                                  std::string_view member,
                                                  std::string_view name) const {
  return {self, deadline(), starter_of(*this, *rpc_->core_, member, name)};
}

} // namespace fly::rpc
