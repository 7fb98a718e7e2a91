#include "fly/repo/tracker_core.hpp"

#include <algorithm>
#include <random>
#include <string>
#include <utility>

#include <caf/send.hpp>

#include "fly/actors/error.hpp"
#include "fly/actors/mutant.hpp"

namespace fly::repo {

using clock = std::chrono::steady_clock;

namespace {

/// After a wait that was not alone others are about to come: the driver asks for all of them.
constexpr std::chrono::milliseconds crowd_lasts{20};

caf::error error_of(verdict what) {
  if (what == verdict::lost)
    return make_error(errc::may_be_lost,
                      "the write may be lost: another server became primary before it had it");
  return make_error(errc::foreign_position,
                    "the position is of another database system than the local one, or the local "
                    "one is an old primary that was left behind");
}

} // namespace

lsn_tracker::core::core(tracker_options given, std::shared_ptr<role_board> board)
    : options(std::move(given)), roles(std::move(board)), waiting(options.waiters_max),
      pace_(options.pace), retry_(options.retry, std::random_device{}()) {}

std::optional<lsn_tracker::core::added>
lsn_tracker::core::add(const position& where, time_point deadline, completion done, bool helps) {
  std::unique_lock lock{mutex};
  if (closed_) {
    lock.unlock();
    done(make_error(errc::shutting_down, "the database is closing"));
    return std::nullopt;
  }
  bool alone = waiting.empty();
  auto who = waiting.add(where, deadline);
  if (!who) {
    lock.unlock();
    done(make_error(errc::overloaded, "more than " + std::to_string(options.waiters_max) +
                                          " wait for the local database"));
    return std::nullopt;
  }
  auto now = clock::now();
  auto due = pace_.due();
  callers_.emplace(*who, caller{std::move(done), now});
  pace_.came(now, alone);
  if (!alone)
    crowded_until_ = now + crowd_lasts;
  bool lent = watch_ && watch_->lent;
  bool leaves = helps && alone && asleep_ && watch_ && !lent && now >= crowded_until_;
  if (leaves) {
    left_ = true;
  } else if (lent) {
    watch_->missed = true;
    lock.unlock();
    changed_.notify_all(); // who asks for himself leaves it to the driver
  } else if (std::exchange(left_, false) || alone || pace_.due() < due) {
    wake(lock);
  }
  return added{*who, leaves};
}

/// Lets the driver look at the time anew. Unlocks.
void lsn_tracker::core::wake(std::unique_lock<std::mutex>& lock) {
  if (!std::exchange(asleep_, false)) {
    lock.unlock();
    changed_.notify_all();
    return;
  }
  auto driver = driver_;
  lock.unlock();
  if (driver)
    caf::anon_send(driver, caf::wait_for_atom::value);
}

bool lsn_tracker::core::end(waiters::ticket who, caf::expected<caf::unit_t> outcome) {
  completion done;
  {
    std::lock_guard guard{mutex};
    waiting.cancel(who);
    auto it = callers_.find(who);
    if (it == callers_.end())
      return false;
    done = std::move(it->second.done);
    callers_.erase(it);
  }
  done(std::move(outcome));
  return true;
}

void lsn_tracker::core::close() {
  std::vector<waiters::ticket> left;
  {
    std::lock_guard guard{mutex};
    closed_ = true;
    for (const auto& [who, each] : callers_)
      left.push_back(who);
  }
  changed_.notify_all();
  for (auto who : left)
    end(who, make_error(errc::shutting_down, "the database is closing"));
}

void lsn_tracker::core::expire(std::unique_lock<std::mutex>& lock, time_point now) {
  auto late = waiting.expire(now);
  if (late.empty())
    return;
  lock.unlock();
  for (auto who : late)
    end(who, make_error(errc::not_visible, "the local database was not that far in time"));
  lock.lock();
}

/// A fresh look by who keeps the database serves as well, and comes first where both are due.
lsn_tracker::time_point lsn_tracker::core::next_look() const {
  return std::max(look_at_, roles->fresh_at() + options.role_interval * 11 / 10);
}

lsn_tracker::time_point lsn_tracker::core::next_question() const {
  auto look = next_look();
  return std::max(waiting.empty() ? look : std::min(look, pace_.due()), down_until_);
}

std::optional<lsn_tracker::time_point> lsn_tracker::core::wake_at() {
  std::lock_guard guard{mutex};
  bool lent = watch_ && watch_->lent;
  if (lent)
    watch_->missed = true;
  if (closed_ || lent)
    return std::nullopt;
  return next_question();
}

void lsn_tracker::core::driven_by(caf::actor driver, std::uint64_t me) {
  std::unique_lock lock{mutex};
  if (me < driven_by_) // one that sat down later was faster
    return;
  auto before = std::exchange(driver_, std::move(driver));
  watch_ = std::make_shared<watch>(watch{replay_watcher{options.watcher}});
  driven_by_ = me;
  asleep_ = false;
  lock.unlock();
  changed_.notify_all();
  if (before)
    caf::anon_send(before, caf::wait_for_atom::value);
}

void lsn_tracker::core::left(std::uint64_t me) {
  seat->leave(me);
  std::lock_guard guard{mutex};
  if (driven_by_ != me)
    return;
  driver_ = nullptr;
  watch_ = nullptr;
}

void lsn_tracker::core::ask(std::unique_lock<std::mutex>& lock, watch& on) {
  auto xids = waiting.xids(options.xids_max);
  auto now = clock::now();
  pace_.asked(now);
  bool whole = next_look() <= now || (last && waiting.any_above(last->seen.timeline));
  if (whole)
    look_at_ = now + options.role_interval * 11 / 10;
  lock.unlock();
  auto seen = on.watcher.ask(xids, whole);
  if (seen) {
    // What makes a primary is looked into before it is said: by who keeps the database.
    if (seen->fresh && !seen->server.writable())
      roles->saw_fresh(seen->server);
    else if (whole || seen->fresh)
      roles->saw(seen->server);
    lock.lock();
    took(lock, *seen, now);
    return;
  }
  roles->failed(text_of(seen.error()));
  lock.lock();
  last.reset();
  down_until_ = clock::now() + retry_.next();
}

void lsn_tracker::core::took(std::unique_lock<std::mutex>& lock, const replay_watcher::look& seen,
                             time_point asked) {
  retry_.reset();
  last = sighting{.server = seen.server, .seen = seen.seen, .asked = asked};
  auto over = waiting.advance(seen.seen);
  std::vector<completion> done(over.size());
  for (std::size_t i = 0; i < over.size(); ++i) {
    auto it = callers_.find(over[i].who);
    if (it == callers_.end()) // ended at this very moment
      continue;
    if (mutant("lost_wake_up") && over[i].who % 8 == 0)
      continue;
    pace_.ended(it->second.since);
    done[i] = std::move(it->second.done);
    callers_.erase(it);
  }
  pace_.answered(clock::now(), !over.empty());
  lock.unlock();
  for (std::size_t i = 0; i < over.size(); ++i) {
    if (!done[i])
      continue;
    if (over[i].what == verdict::visible)
      done[i](caf::unit);
    else
      done[i](error_of(over[i].what));
  }
  // One may hold the last reference to the tracker, whose end takes the lock.
  done.clear();
  lock.lock();
}

lsn_tracker::core::next lsn_tracker::core::round(std::uint64_t me) {
  // Short, so that the driver sees exit messages soon; a question may take longer.
  auto until = clock::now() + std::chrono::milliseconds{20};
  std::unique_lock lock{mutex};
  auto own = watch_; // stays while it asks, whoever drives then
  while (!closed_ && seat->is(me) && driven_by_ == me) {
    left_ = false;
    if (own->lent) {
      own->missed = asleep_ = true;
      return next::sleep;
    }
    asleep_ = false; // also where a timer woke it: nobody borrows its connection while it drives
    auto now = clock::now();
    expire(lock, now);
    auto due = next_question();
    if (due <= now)
      ask(lock, *own);
    else if (waiting.empty()) {
      asleep_ = true;
      return next::sleep;
    } else if (now >= until)
      return next::again;
    else
      changed_.wait_until(lock, std::min({due, until, waiting.next_deadline().value_or(until)}));
  }
  if (!seat->is(me) || driven_by_ != me)
    return next::end;
  asleep_ = true; // for good: no supervisor takes the end of a driver for a failure
  return next::sleep;
}

} // namespace fly::repo
