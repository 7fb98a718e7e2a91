#include "fly/repo/connection_pool.hpp"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "fly/actors/error.hpp"
#include "fly/repo/opening_pace.hpp"

namespace fly::repo {

using clock = std::chrono::steady_clock;

struct connection_pool::core {
  explicit core(pool_options given)
      : options(std::move(given)), pace(options.retry, std::random_device{}()) {}

  const pool_options options;
  statement_canceller canceller;
  mutable std::mutex mutex;
  std::condition_variable returned;
  std::vector<std::unique_ptr<connection>> idle; // guarded by mutex; the last was used last
  std::map<connection*, time_point> lent;        // guarded by mutex
  std::size_t open = 0;                          // guarded by mutex; <= connections_max
  std::size_t waiting = 0;                       // guarded by mutex; <= queue_max
  opening_pace pace;                             // guarded by mutex
  bool closed = false;                           // guarded by mutex
  std::thread cutter;                            // guarded by mutex until the pool ends
  bool cuts = true;                              // guarded by mutex; the cutter is wanted
  time_point cut_at = time_point::max();         // guarded by mutex; when the cutter looks next
  std::condition_variable sooner;                // than cut_at, or not at all any more

  /// Starts the cutter, for the first connection. The caller has the lock.
  void start_cutter() {
    if (!cutter.joinable())
      cutter = std::thread{[this] { cut_overdue(); }};
  }

  /// Notes until when a connection is lent. The caller has the lock.
  void lend(connection& held, time_point until) {
    lent.emplace(&held, until);
    if (until < cut_at) {
      cut_at = until;
      sooner.notify_one();
    }
  }

  /// Cuts the sessions of those that are lent for longer than agreed, each once: what a statement
  /// does not end by its own timeout waits for a server that does not answer.
  void cut_overdue() {
    std::unique_lock lock{mutex};
    while (cuts) {
      if (cut_at == time_point::max())
        sooner.wait(lock);
      else
        sooner.wait_until(lock, cut_at);
      auto now = clock::now();
      if (now < cut_at)
        continue;
      cut_at = time_point::max();
      for (auto& [held, until] : lent) {
        if (until <= now) {
          held->cut();
          until = time_point::max();
        }
        cut_at = std::min(cut_at, until);
      }
    }
  }

  bool usable(const connection& held) const {
    return options.keeps_transactions ? held.continuable() : held.reusable();
  }

  /// Takes an idle connection that still works; closes those that do not.
  std::unique_ptr<connection> take_idle() {
    while (!idle.empty()) {
      auto last = std::move(idle.back());
      idle.pop_back();
      if (usable(*last))
        return last;
      --open;
      pace.closed(clock::now());
    }
    return nullptr;
  }

  bool at_bound() const { return open >= options.connections_max; }

  /// What a caller does who finds nothing idle, and gives an attempt until then. The caller has the
  /// lock.
  opening_pace::step next(time_point until) {
    auto now = clock::now();
    return at_bound() ? opening_pace::step::wait : pace.next(now, open, until - now);
  }

  /// Waits for one that comes back, or until it is worth trying again. Returns why not to go on.
  caf::error wait_for_one(std::unique_lock<std::mutex>& lock, time_point deadline) {
    if (waiting >= options.queue_max)
      return make_error(errc::overloaded, "more than " + std::to_string(options.queue_max) +
                                              " wait for a database connection");
    auto until = at_bound() ? deadline : std::min(deadline, pace.wait_until());
    ++waiting;
    auto outcome = returned.wait_until(lock, until);
    --waiting;
    if (outcome == std::cv_status::timeout && clock::now() >= deadline)
      return waited_in_vain();
    return {};
  }

  caf::error waited_in_vain() const {
    if (at_bound() || !pace.full())
      return make_error(errc::overloaded,
                        "all " + std::to_string(options.connections_max) +
                            " database connections were in use until the deadline");
    return make_error(code_of(pace.reason()),
                      text_of(pace.reason()) + "; none of the pool's own connections (" +
                          std::to_string(open) + ") came back until the deadline",
                      details_of(pace.reason()));
  }

  caf::expected<std::unique_ptr<connection>> try_to_open(time_point deadline) const {
    try {
      return connection::open(options.link, deadline);
    } catch (const std::exception& e) { // no memory: the others must hear that nobody is trying
      return make_error(errc::database_unavailable, std::string{"no connection: "} + e.what());
    }
  }

  /// Opens one, without the lock meanwhile.
  caf::expected<std::unique_ptr<connection>> open_one(std::unique_lock<std::mutex>& lock,
                                                      time_point deadline) {
    ++open;
    lock.unlock();
    auto begun = clock::now();
    auto opened = try_to_open(deadline);
    auto ended = clock::now();
    lock.lock();
    bool all = true; // may do something else now
    if (opened) {
      all = pace.opened();
    } else {
      --open;
      pace.failed(ended, opened.error(),
                  ended < deadline ? std::chrono::nanoseconds::max() : deadline - begun);
    }
    if (all)
      returned.notify_all();
    return opened;
  }
};

connection_pool::lease::~lease() {
  if (!held_)
    return;
  bool keep = !spoiled_ && pool_->usable(*held_);
  if (keep && used_)
    held_->worked();
  if (spoiled_)
    pool_->canceller.forget(held_->canceller());
  std::unique_lock lock{pool_->mutex};
  pool_->lent.erase(held_.get());
  if (keep && !pool_->closed) {
    pool_->idle.push_back(std::move(held_));
  } else {
    // Closed before another one is told of its place: the server may have no room for both.
    lock.unlock();
    held_.reset();
    lock.lock();
    --pool_->open;
    pool_->pace.closed(clock::now());
  }
  lock.unlock();
  pool_->returned.notify_one();
}

void connection_pool::lease::cancel() {
  if (!pool_->options.keeps_transactions)
    pool_->canceller.cancel(held_->canceller());
}

connection_pool::connection_pool(pool_options options)
    : core_(std::make_shared<core>(std::move(options))) {}

connection_pool::~connection_pool() {
  close();
  {
    std::lock_guard guard{core_->mutex};
    core_->cuts = false;
    core_->sooner.notify_one();
  }
  if (core_->cutter.joinable())
    core_->cutter.join();
}

void connection_pool::lease::answered() {
  std::lock_guard guard{pool_->mutex};
  auto& until = pool_->lent.at(held_.get());
  if (until != time_point::max()) // else it has been cut
    until = until_;
}

caf::expected<connection_pool::lease>
connection_pool::take(time_point deadline, std::chrono::milliseconds grace,
                      std::optional<std::chrono::milliseconds> answer_max, time_point wait_until) {
  auto& pool = *core_;
  auto lend = [&](std::unique_ptr<connection> what, bool reused) {
    auto until = deadline + grace;
    pool.lend(*what, answer_max ? std::min(until, clock::now() + *answer_max) : until);
    return lease{core_, std::move(what), reused, until};
  };
  auto open_max =
      std::min(answer_max.value_or(pool.options.connect_timeout), pool.options.connect_timeout);
  std::unique_lock lock{pool.mutex};
  for (;;) {
    if (pool.closed)
      return make_error(errc::shutting_down, "the database is closing");
    pool.start_cutter();
    if (auto found = pool.take_idle())
      return lend(std::move(found), true);
    auto open_until = std::min(deadline, clock::now() + open_max);
    auto what = pool.next(open_until);
    if (what == opening_pace::step::refuse)
      return pool.pace.reason();
    if (what == opening_pace::step::wait) {
      if (auto reason = pool.wait_for_one(lock, std::min(deadline, wait_until)))
        return reason;
      continue;
    }
    auto opened = pool.open_one(lock, open_until);
    if (opened)
      return lend(std::move(*opened), false);
    if (!pool.pace.full())
      return std::move(opened.error());
  }
}

void connection_pool::drop_idle() {
  std::vector<std::unique_ptr<connection>> dropped;
  std::unique_lock lock{core_->mutex};
  dropped.swap(core_->idle);
  lock.unlock();
  auto count = dropped.size();
  dropped.clear();
  lock.lock();
  core_->open -= count;
  if (count > 0)
    core_->pace.closed(clock::now());
  lock.unlock();
  core_->returned.notify_all();
}

void connection_pool::close() {
  {
    std::lock_guard guard{core_->mutex};
    core_->closed = true;
  }
  drop_idle();
}

bool connection_pool::keeps_transactions() const noexcept {
  return core_->options.keeps_transactions;
}

pool_counts connection_pool::counts() const {
  std::lock_guard guard{core_->mutex};
  return {.open = core_->open, .idle = core_->idle.size(), .waiting = core_->waiting};
}

} // namespace fly::repo
