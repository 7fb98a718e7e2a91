#include "fly/cluster/link_broker.hpp"

#include <utility>

#include <caf/actor_system.hpp>
#include <caf/behavior.hpp>
#include <caf/io/middleman.hpp>

#include "fly/actors/thread_locals.hpp"
#include "fly/cluster/socket_io.hpp"

namespace fly::cluster {

namespace {

caf::behavior run_broker(caf::io::broker* self, std::shared_ptr<link_broker_setup> setup) {
  auto io = std::make_shared<socket_io>(self, std::move(*setup));
  io->guarded([&] { io->start(); });
  self->parent().run_later([io] { io->settle(); }); // in the next turn of the I/O loop
  return {
      [io](const caf::io::data_transferred_msg& done) {
        io->guarded([&] { io->on_transferred(done); });
      },
      [io](const caf::io::new_connection_msg& fresh) {
        io->guarded([&] { io->on_connection(fresh.handle); });
      },
      [io](const caf::io::connection_closed_msg& gone) {
        io->guarded([&] { io->on_closed(gone.handle); });
      },
      [io](wake_atom) { io->guarded([&] { io->on_wake(); }); },
      [io](tick_atom) { io->guarded([&] { io->on_tick(); }); },
      [io](turn_atom) { io->guarded([&] { io->on_turn(); }); },
      [](const caf::io::acceptor_closed_msg&) {},
  };
}

} // namespace

void start_link_broker(caf::actor_system& system, link_broker_setup setup,
                       std::function<void()> on_end) {
  actors::borrowed_logger meanwhile;
  auto shared = std::make_shared<link_broker_setup>(std::move(setup));
  auto broker = system.middleman().spawn_broker(run_broker, shared);
  broker->attach_functor([on_end = std::move(on_end)](const caf::error&) { on_end(); });
}

} // namespace fly::cluster
