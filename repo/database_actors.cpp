// The part of database_core.hpp that drives it: the actors.
#include <chrono>
#include <cstdint>
#include <memory>

#include <caf/actor.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

#include "fly/repo/database_core.hpp"

namespace fly::repo {

using clock = std::chrono::steady_clock;

namespace {

/// Keeps the lease, whatever the keeper itself waits for.
caf::behavior leader(caf::event_based_actor* self, const std::shared_ptr<database_core>& core,
                     std::uint64_t me) {
  constexpr std::chrono::milliseconds look_interval{100};
  constexpr std::chrono::milliseconds idle_interval{500}; // there is nothing to lead
  self->send(self, caf::tick_atom::value);
  return {
      [self, core, me, look_interval, idle_interval](caf::tick_atom) {
        if (!core->seat()->is(me))
          return self->quit();
        if (core->name().empty())
          core->leading().look();
        bool may_lead = core->roles().report().role == database_role::primary;
        self->delayed_send(self, may_lead ? look_interval : idle_interval, caf::tick_atom::value);
      },
  };
}

caf::behavior keeper(caf::event_based_actor* self, const std::shared_ptr<database_core>& core,
                     std::uint64_t me) {
  constexpr std::chrono::milliseconds look_interval{200};
  auto leads = self->spawn<caf::detached>(leader, core, me);
  self->attach_functor([core, me, leads] {
    core->seat()->leave(me);
    caf::anon_send_exit(leads, caf::exit_reason::kill);
  });
  self->send(self, caf::tick_atom::value);
  return {
      [self, core, me, look_interval](caf::tick_atom) {
        if (!core->seat()->is(me))
          return self->quit();
        core->keep();
        self->delayed_send(self, look_interval, caf::tick_atom::value);
      },
  };
}

} // namespace

caf::actor start_keeper(caf::event_based_actor* parent,
                        const std::shared_ptr<database_core>& core) {
  return parent->spawn<caf::detached>(keeper, core, core->seat()->take());
}

} // namespace fly::repo
