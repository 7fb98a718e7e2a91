#include "fly/repo/wait_alarm.hpp"

#include <algorithm>
#include <mutex>
#include <optional>
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
  std::optional<clock::time_point> next; // guarded by mutex; a message for it is on its way
  caf::actor actor;                      // guarded by mutex; null before the first one
  bool closed = false;                   // guarded by mutex

  /// Returns whether there is to be a message for `deadline`.
  bool is_next(clock::time_point deadline) {
    if (closed || (next && *next <= deadline))
      return false;
    next = deadline;
    return true;
  }

  /// Ends what is late. Returns when to do so again.
  std::optional<clock::time_point> ring() {
    {
      std::lock_guard guard{mutex};
      next.reset(); // who begins to wait from now on says so
    }
    auto after = of->end_late(clock::now());
    std::lock_guard guard{mutex};
    return after && is_next(*after) ? after : std::nullopt;
  }

  static caf::behavior behave(caf::event_based_actor* self,
                              const std::shared_ptr<clockwork>& state) {
    return {
        [self, state](caf::wait_for_atom) {
          std::lock_guard guard{state->mutex};
          if (state->next)
            ring_at(self, *state->next);
        },
        [self, state](caf::timeout_atom) {
          if (auto after = state->ring())
            ring_at(self, *after);
        },
    };
  }

  static void ring_at(caf::event_based_actor* self, clock::time_point when) {
    self->delayed_send(self, std::max(when - clock::now(), clock::duration{0}),
                       caf::timeout_atom::value);
  }
};

wait_alarm::wait_alarm(std::shared_ptr<lsn_tracker> of)
    : all_(std::make_shared<clockwork>(std::move(of))) {}

wait_alarm::~wait_alarm() {
  close();
}

void wait_alarm::set(caf::actor_system& system, clock::time_point deadline) {
  std::lock_guard guard{all_->mutex};
  if (!all_->is_next(deadline))
    return;
  if (!all_->actor)
    all_->actor = system.spawn<caf::hidden>(clockwork::behave, all_);
  caf::anon_send(all_->actor, caf::wait_for_atom::value);
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
