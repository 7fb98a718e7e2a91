#include "fly/repo/wait_help.hpp"

#include <algorithm>
#include <utility>

#include <sys/prctl.h>

#include "fly/repo/tracker_core.hpp"

namespace fly::repo {

namespace {

using clock = std::chrono::steady_clock;

/// A wait that takes longer is the tracker's: who asks is not there for others.
constexpr std::chrono::milliseconds help_max{5};

thread_local wait_help* innermost = nullptr;

/// Lets the thread wake when it says, and not up to 50 us later.
class exact_sleep {
public:
  exact_sleep() noexcept : before_(::prctl(PR_GET_TIMERSLACK, 0UL, 0UL, 0UL, 0UL)) {
    ::prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
  }
  ~exact_sleep() {
    if (before_ > 0)
      ::prctl(PR_SET_TIMERSLACK, static_cast<unsigned long>(before_), 0UL, 0UL, 0UL);
  }
  exact_sleep(const exact_sleep&) = delete;
  exact_sleep& operator=(const exact_sleep&) = delete;

private:
  const int before_;
};

} // namespace

wait_help::wait_help() noexcept : outer_(std::exchange(innermost, this)) {}

wait_help::~wait_help() {
  innermost = outer_;
  if (of_)
    of_->help(who_, clock::time_point::min());
}

wait_help* wait_help::free_one() noexcept {
  return innermost != nullptr && !innermost->of_ ? innermost : nullptr;
}

void wait_help::take(std::shared_ptr<lsn_tracker::core> of, waiters::ticket who) {
  of_ = std::move(of);
  who_ = who;
}

void wait_help::run(clock::time_point deadline) {
  if (auto of = std::exchange(of_, nullptr))
    of->help(who_, std::min(deadline, clock::now() + help_max));
}

/// Asks once, or sleeps until that is due. Returns whether to go on.
bool lsn_tracker::core::ask_alone(std::unique_lock<std::mutex>& lock, watch& on, time_point until) {
  auto now = clock::now();
  bool wants_more = last && waiting.any_above(last->seen.timeline); // who the server is, too
  if (now >= until || wants_more)
    return false;
  if (auto due = std::max(pace_.due(), down_until_); now < due) {
    exact_sleep sleeping;
    changed_.wait_until(lock, std::min(due, until));
    return true;
  }
  auto xids = waiting.xids(options.xids_max);
  pace_.asked(now);
  lock.unlock();
  auto seen = on.watcher.ask_briefly(xids, until);
  lock.lock();
  if (seen)
    took(lock, *seen, now);
  return seen.has_value();
}

void lsn_tracker::core::help(waiters::ticket who, time_point until) {
  std::unique_lock lock{mutex};
  if (!std::exchange(left_, false))
    return;
  auto with = watch_;
  if (with && !with->lent) {
    with->lent = true;
    while (!closed_ && callers_.size() == 1 && callers_.contains(who) && watch_ == with &&
           ask_alone(lock, *with, until))
      ;
    with->lent = false;
    if (waiting.empty() && !std::exchange(with->missed, false))
      return;
  }
  wake(lock);
}

} // namespace fly::repo
