#include "fly/repo/wait_alarm.hpp"

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <set>
#include <utility>

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

namespace fly::repo {

using clock = std::chrono::steady_clock;

struct wait_alarm::clockwork {
  explicit clockwork(std::shared_ptr<lsn_tracker> waits) : of(std::move(waits)) {}

  const std::shared_ptr<lsn_tracker> of;
  std::mutex mutex;
  std::set<clock::time_point> sent; // guarded by mutex; what messages are on their way for
  caf::actor actor;                 // guarded by mutex; null before the first one
  bool closed = false;              // guarded by mutex
  std::size_t rung = 0;             // guarded by mutex

  /// Sends a message for `deadline` where none comes by then, with the mutex held. One that is on
  /// its way cannot be taken back, so that each is known: one that rang for another would send a
  /// second one for the same moment, and those would send more.
  void ring_by(clock::time_point deadline) {
    if (closed || (!sent.empty() && *sent.begin() <= deadline))
      return;
    sent.insert(deadline);
    caf::delayed_anon_send(actor, std::max(deadline - clock::now(), clock::duration{0}),
                           caf::timeout_atom::value,
                           std::int64_t{deadline.time_since_epoch().count()});
  }

  /// Ends what is late.
  void ring(clock::time_point when) {
    {
      std::lock_guard guard{mutex};
      ++rung;
      sent.erase(when); // who begins to wait from now on says so
    }
    auto after = of->end_late(clock::now());
    std::lock_guard guard{mutex};
    if (after)
      ring_by(*after);
  }

  static caf::behavior behave(caf::event_based_actor*, const std::shared_ptr<clockwork>& state) {
    return {
        [state](caf::timeout_atom, std::int64_t when) {
          state->ring(clock::time_point{clock::duration{when}});
        },
    };
  }
};

wait_alarm::wait_alarm(std::shared_ptr<lsn_tracker> of)
    : all_(std::make_shared<clockwork>(std::move(of))) {}

wait_alarm::~wait_alarm() {
  close();
}

void wait_alarm::set(caf::actor_system& system, clock::time_point deadline) {
  std::lock_guard guard{all_->mutex};
  if (all_->closed)
    return;
  if (!all_->actor)
    all_->actor = system.spawn<caf::hidden>(clockwork::behave, all_);
  all_->ring_by(deadline);
}

std::size_t wait_alarm::rung() const {
  std::lock_guard guard{all_->mutex};
  return all_->rung;
}

void wait_alarm::close() {
  caf::actor last;
  {
    std::lock_guard guard{all_->mutex};
    all_->closed = true;
    last = std::exchange(all_->actor, nullptr);
  }
  if (last)
    caf::anon_send_exit(last, caf::exit_reason::user_shutdown);
}

} // namespace fly::repo
