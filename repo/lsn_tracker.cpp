#include "fly/repo/lsn_tracker.hpp"

#include <algorithm>
#include <utility>

#include <sys/prctl.h>

#include <caf/event_based_actor.hpp>

#include "fly/repo/tracker_core.hpp"

namespace fly::repo {

using clock = std::chrono::steady_clock;

namespace {

/// Runs rounds while there is something to do, and sleeps otherwise.
struct driver {
  caf::event_based_actor* self;
  std::shared_ptr<lsn_tracker::core> core;
  std::uint64_t me;
  bool goes_on = false; // a message for the next round is on its way
  bool sleeps = false;  // one for the end of the sleep is

  void go() {
    using next = lsn_tracker::core::next;
    switch (core->round(me)) {
    case next::again:
      if (!std::exchange(goes_on, true))
        self->send(self, caf::tick_atom::value);
      break;
    case next::sleep:
      if (auto end = core->wake_at(); end && !std::exchange(sleeps, true))
        self->delayed_send(self, std::max(*end - clock::now(), clock::duration{0}),
                           caf::timeout_atom::value);
      break;
    case next::end:
      self->quit();
    }
  }
};

caf::behavior drive(caf::event_based_actor* self, const std::shared_ptr<lsn_tracker::core>& core,
                    std::uint64_t me) {
  // The thread is the actor's own: wakes it when it says, and not up to 50 us later.
  ::prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
  core->driven_by(caf::actor{self}, me);
  self->attach_functor([core, me] { core->left(me); });
  auto state = std::make_shared<driver>(driver{self, core, me, true, false});
  self->send(self, caf::tick_atom::value);
  return {
      [state](caf::tick_atom) {
        state->goes_on = false;
        state->go();
      },
      [state](caf::timeout_atom) {
        state->sleeps = false;
        state->go();
      },
      [state](caf::wait_for_atom) { state->go(); },
  };
}

caf::actor start_driver(caf::event_based_actor* parent,
                        const std::shared_ptr<lsn_tracker::core>& core) {
  return parent->spawn<caf::detached>(drive, core, core->seat->take());
}

} // namespace

lsn_tracker::lsn_tracker(tracker_options options, std::shared_ptr<role_board> roles)
    : core_(std::make_shared<core>(std::move(options), std::move(roles))) {}

actors::child_spec lsn_tracker::child() const {
  return {.id = "tracker", .start = [core = core_](caf::event_based_actor* parent) {
            return start_driver(parent, core);
          }};
}

actors::child_spec lsn_tracker::standby() const {
  return {.id = "tracker", .start = [core = core_](caf::event_based_actor* parent) {
            return parent->spawn(stand_by, core->seat, [core](caf::event_based_actor* self) {
              return start_driver(self, core);
            });
          }};
}

} // namespace fly::repo
