#include "fly/repo/lsn_tracker.hpp"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <random>
#include <utility>
#include <vector>

#include <caf/event_based_actor.hpp>

#include "fly/actors/error.hpp"
#include "fly/repo/driver_seat.hpp"
#include "fly/repo/role_board.hpp"

namespace fly::repo {

using clock = std::chrono::steady_clock;
using completion = actors::completion<caf::unit_t>;

namespace {

caf::error error_of(verdict what) {
  if (what == verdict::lost)
    return make_error(errc::may_be_lost,
                      "the write may be lost: another server became primary before it had it");
  return make_error(errc::foreign_position,
                    "the position is of another database system than the local one, or the local "
                    "one is an old primary that was left behind");
}

} // namespace

/// The waits, and when to ask next. Outlives the actor that drives it.
struct lsn_tracker::core {
  core(tracker_options given, std::shared_ptr<role_board> board)
      : options(std::move(given)), roles(std::move(board)), waiting(options.waiters_max),
        interval(options.ask_first), retry(options.retry, std::random_device{}()) {}

  const tracker_options options;
  const std::shared_ptr<role_board> roles;
  const std::shared_ptr<driver_seat> seat = std::make_shared<driver_seat>();

  mutable std::mutex mutex;
  std::condition_variable changed;
  waiters waiting;                               // guarded by mutex
  std::map<waiters::ticket, completion> callers; // guarded by mutex; one for each wait
  std::optional<progress> last;                  // guarded by mutex
  std::optional<server_identity> server;         // guarded by mutex; of last
  std::chrono::microseconds interval;            // guarded by mutex; ask_first to ask_max
  time_point asked_at{};                         // guarded by mutex
  time_point ask_at{};                           // guarded by mutex; while somebody waits
  time_point look_at{};                          // guarded by mutex; for the role
  time_point down_until{};                       // guarded by mutex; no question before
  actors::backoff retry;                         // guarded by mutex
  bool closed = false;                           // guarded by mutex

  /// Completes one wait; false where another has done so already.
  bool end(waiters::ticket who, caf::expected<caf::unit_t> outcome) {
    completion done;
    {
      std::lock_guard guard{mutex};
      waiting.cancel(who);
      auto it = callers.find(who);
      if (it == callers.end())
        return false;
      done = std::move(it->second);
      callers.erase(it);
    }
    done(std::move(outcome));
    return true;
  }

  void expire(std::unique_lock<std::mutex>& lock, time_point now) {
    auto late = waiting.expire(now);
    if (late.empty())
      return;
    lock.unlock();
    for (auto who : late)
      end(who, make_error(errc::not_visible, "the local database was not that far in time"));
    lock.lock();
  }

  time_point next_question() const {
    auto next = waiting.empty() ? look_at : std::min(look_at, ask_at);
    return std::max(next, down_until);
  }

  void ask(std::unique_lock<std::mutex>& lock, replay_watcher& watcher);
  void took(std::unique_lock<std::mutex>& lock, const replay_watcher::look& seen);
  bool round(std::uint64_t me, replay_watcher& watcher);
};

void lsn_tracker::core::ask(std::unique_lock<std::mutex>& lock, replay_watcher& watcher) {
  auto xids = waiting.xids(options.xids_max);
  asked_at = clock::now();
  ask_at = asked_at + interval;
  interval = std::min(interval * 3 / 2, options.ask_max);
  bool whole = look_at <= asked_at || (last && waiting.any_above(last->timeline));
  if (whole)
    look_at = asked_at + options.role_interval;
  lock.unlock();
  auto seen = watcher.ask(xids, whole);
  if (seen) {
    // What makes a primary is looked into before it is said: by who keeps the database.
    if (seen->fresh && !seen->server.writable())
      roles->saw_fresh(seen->server);
    else if (whole || seen->fresh)
      roles->saw(seen->server);
    lock.lock();
    took(lock, *seen);
    return;
  }
  roles->failed(text_of(seen.error()));
  lock.lock();
  last.reset();
  server.reset();
  down_until = clock::now() + retry.next();
}

void lsn_tracker::core::took(std::unique_lock<std::mutex>& lock, const replay_watcher::look& seen) {
  retry.reset();
  last = seen.seen;
  server = seen.server;
  auto over = waiting.advance(seen.seen);
  lock.unlock();
  for (const auto& [who, what] : over) {
    if (what == verdict::visible)
      end(who, caf::unit);
    else
      end(who, error_of(what));
  }
  lock.lock();
}

/// Drives for a moment. Returns whether to go on.
bool lsn_tracker::core::round(std::uint64_t me, replay_watcher& watcher) {
  // Short, so that the actor sees exit messages soon; a question may take longer.
  auto until = clock::now() + std::chrono::milliseconds{20};
  std::unique_lock lock{mutex};
  while (!closed && seat->is(me)) {
    auto now = clock::now();
    expire(lock, now);
    auto next = next_question();
    if (next <= now)
      ask(lock, watcher);
    else if (now >= until)
      return true;
    else
      changed.wait_until(lock, std::min({next, until, waiting.next_deadline().value_or(until)}));
  }
  return false;
}

namespace {

caf::behavior drive(caf::event_based_actor* self, const std::shared_ptr<lsn_tracker::core>& core,
                    std::uint64_t me) {
  auto watcher = std::make_shared<replay_watcher>(core->options.watcher);
  self->attach_functor([core, me] { core->seat->leave(me); });
  self->send(self, caf::tick_atom::value);
  return {
      [self, core, me, watcher](caf::tick_atom) {
        if (core->round(me, *watcher))
          self->send(self, caf::tick_atom::value);
        else if (!core->seat->is(me))
          self->quit();
        // Else closed: it stays, so that no supervisor takes the end for a failure.
      },
  };
}

caf::actor start_driver(caf::event_based_actor* parent,
                        const std::shared_ptr<lsn_tracker::core>& core) {
  auto me = core->seat->take();
  core->changed.notify_all();
  return parent->spawn<caf::detached>(drive, core, me);
}

} // namespace

lsn_tracker::lsn_tracker(tracker_options options, std::shared_ptr<role_board> roles)
    : core_(std::make_shared<core>(std::move(options), std::move(roles))) {}

lsn_tracker::~lsn_tracker() {
  close();
}

actors::expire lsn_tracker::wait_for(const position& where, time_point deadline, completion done) {
  std::unique_lock lock{core_->mutex};
  if (core_->closed) {
    lock.unlock();
    done(make_error(errc::shutting_down, "the database is closing"));
    return [] {};
  }
  auto who = core_->waiting.add(where, deadline);
  if (!who) {
    lock.unlock();
    done(make_error(errc::overloaded, "more than " + std::to_string(core_->options.waiters_max) +
                                          " wait for the local database"));
    return [] {};
  }
  core_->callers.emplace(*who, std::move(done));
  core_->interval = core_->options.ask_first;
  core_->ask_at = core_->asked_at + core_->interval;
  lock.unlock();
  core_->changed.notify_all();
  return [core = core_, ticket = *who] {
    core->end(ticket, make_error(errc::not_visible, "the local database was not that far in time"));
  };
}

std::optional<progress> lsn_tracker::current() const {
  std::lock_guard guard{core_->mutex};
  return core_->last;
}

std::optional<server_identity> lsn_tracker::server() const {
  std::lock_guard guard{core_->mutex};
  return core_->server;
}

std::size_t lsn_tracker::waiting() const {
  std::lock_guard guard{core_->mutex};
  return core_->waiting.size();
}

void lsn_tracker::close() {
  std::vector<waiters::ticket> left;
  {
    std::lock_guard guard{core_->mutex};
    core_->closed = true;
    for (const auto& [who, done] : core_->callers)
      left.push_back(who);
  }
  core_->changed.notify_all();
  for (auto who : left)
    core_->end(who, make_error(errc::shutting_down, "the database is closing"));
}

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
