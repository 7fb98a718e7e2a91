#include <chrono>
#include <memory>
#include <utility>

#include <caf/actor.hpp>
#include <caf/actor_cast.hpp>
#include <caf/behavior.hpp>
#include <caf/event_based_actor.hpp>

#include "fly/rpc/endpoint_core.hpp"

namespace fly::rpc {

namespace {

void take_over(caf::event_based_actor* self, const std::shared_ptr<endpoint_core>& core,
               std::uint64_t& turn) {
  turn = core->attach(self->address());
  self->attach_functor([core, turn] { core->detach(turn); });
}

} // namespace

caf::behavior rpc_actor(caf::event_based_actor* self, std::shared_ptr<endpoint_core> core,
                        bool standby) {
  auto turn = std::make_shared<std::uint64_t>(0);
  if (!standby || core->turn() == 0)
    take_over(self, core, *turn);
  self->send(self, caf::tick_atom::value);
  return {
      [self, core, turn](caf::tick_atom) {
        if (auto who = core->turn(); who == 0)
          take_over(self, core, *turn); // the one that drove has ended
        else if (who == *turn)
          core->drive();
        self->delayed_send(self, core->options().tick, caf::tick_atom::value);
      },
      [core](caf::ok_atom) { core->drive(); },
  };
}

} // namespace fly::rpc
