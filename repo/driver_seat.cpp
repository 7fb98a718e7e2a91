#include "fly/repo/driver_seat.hpp"

#include <chrono>
#include <utility>

#include <caf/event_based_actor.hpp>

namespace fly::repo {

caf::behavior stand_by(caf::event_based_actor* self, std::shared_ptr<driver_seat> seat,
                       std::function<caf::actor(caf::event_based_actor* parent)> start) {
  // How long a user's driver is gone at most before there is another one; the own one tells.
  constexpr std::chrono::milliseconds look_interval{500};
  // The driver's own end, also a violent one, is no reason to end.
  self->set_exit_handler([self, seat, start](const caf::exit_msg& end) {
    if (end.reason == caf::exit_reason::user_shutdown)
      self->quit(end.reason);
    else if (seat->vacant())
      self->link_to(start(self));
  });
  self->send(self, caf::tick_atom::value);
  return {
      [self, seat = std::move(seat), start = std::move(start), look_interval](caf::tick_atom) {
        if (seat->vacant())
          self->link_to(start(self));
        self->delayed_send(self, look_interval, caf::tick_atom::value);
      },
  };
}

} // namespace fly::repo
