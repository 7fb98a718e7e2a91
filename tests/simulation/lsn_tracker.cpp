// In the place of repo/lsn_tracker.cpp: the real tracker_core, driven by a fiber instead of an
// actor of its own thread. Who wakes the driver sends to an actor, here as there.
#include "fly/repo/lsn_tracker.hpp"

#include <utility>

#include <caf/abstract_actor.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/make_actor.hpp>
#include <caf/monitorable_actor.hpp>

#include "fly/repo/tracker_core.hpp"
#include "tests/simulation/world.hpp"

namespace fly::repo {

namespace {

/// Takes what is sent to the driver: whatever it is, it wakes it.
class doorman : public caf::monitorable_actor {
public:
  doorman(caf::actor_config& settings, std::shared_ptr<bool> rung, simulation::fiber* whom)
      : caf::monitorable_actor(settings), rung_(std::move(rung)), whom_(whom) {}

  void enqueue(caf::mailbox_element_ptr, caf::execution_unit*) override {
    *rung_ = true;
    whom_->wake();
  }

private:
  std::shared_ptr<bool> rung_;
  simulation::fiber* whom_;
};

/// One for all machines: nothing runs on it, and it is never ended.
caf::actor_system& actors_of_all() {
  struct testing : caf::actor_system_config {
    testing() { set("scheduler.policy", caf::atom("testing")); }
  };
  static testing settings;
  static auto& system = *new caf::actor_system{settings};
  return system;
}

caf::actor make_doorman(const std::shared_ptr<bool>& rung) {
  auto& system = actors_of_all();
  caf::actor_config settings;
  return caf::make_actor<doorman, caf::actor>(system.next_actor_id(), system.node(), &system,
                                              settings, rung, simulation::fiber::running());
}

void drive(const std::shared_ptr<lsn_tracker::core>& core) {
  using next = lsn_tracker::core::next;
  auto rung = std::make_shared<bool>(false);
  auto me = core->seat->take();
  core->driven_by(make_doorman(rung), me);
  for (;;) {
    *rung = false;
    auto then = core->round(me);
    if (then == next::end)
      return;
    auto end = core->wake_at();
    if (then != next::sleep || *rung)
      continue;
    if (!end) // closed
      return;
    auto* self = simulation::fiber::running();
    self->wait_until(self->owner().clock.when(*end, simulation::now()));
  }
}

} // namespace

lsn_tracker::lsn_tracker(tracker_options options, std::shared_ptr<role_board> roles)
    : core_(std::make_shared<core>(std::move(options), std::move(roles))) {
  auto& all = simulation::world::present();
  all.threads.start(*all.when.running(), [core = core_] { drive(core); });
}

} // namespace fly::repo
