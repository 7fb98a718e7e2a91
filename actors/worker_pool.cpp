#include "fly/actors/worker_pool.hpp"

#include <algorithm>
#include <cassert>
#include <system_error>
#include <utility>

#include <pthread.h>

#include "fly/actors/blocking_guard.hpp"
#include "fly/actors/error.hpp"

namespace fly::actors {

namespace {

thread_local const worker_pool* pool_here = nullptr; // whose this thread is
thread_local bool is_spare_here = false;

void name_thread(std::thread& which, const std::string& name) {
  pthread_setname_np(which.native_handle(), name.substr(0, 15).c_str());
}

} // namespace

worker_pool::worker_pool(worker_pool_options options) : options_(std::move(options)) {
  assert(options_.threads >= 1);
  assert(options_.threads <= 1024);
  threads_.reserve(options_.threads);
  try {
    for (std::size_t i = 0; i < options_.threads; ++i) {
      threads_.emplace_back([this] { run(); });
      name_thread(threads_.back(), options_.name);
    }
  } catch (...) { // no further thread to be had: those that run must end first
    stop();
    throw;
  }
}

worker_pool::~worker_pool() {
  stop();
}

caf::error worker_pool::has_stopped() const {
  return make_error(errc::shutting_down, options_.name + " has stopped");
}

bool worker_pool::is_awaited() const noexcept {
  return pool_here == this && is_about_to_block();
}

caf::error worker_pool::submit(task work, const void* who) {
  assert(work);
  if (is_awaited())
    return submit_awaited({std::move(work), who, true});
  {
    std::lock_guard guard{mutex_};
    if (stopped_)
      return has_stopped();
    if (queue_.size() >= options_.queue_max)
      return make_error(errc::overloaded, options_.name + " has " +
                                              std::to_string(options_.queue_max) +
                                              " tasks waiting, its limit");
    queue_.push_back({std::move(work), who});
    if (!wants_another())
      return {};
  }
  work_arrived_.notify_one();
  return {};
}

/// Takes a task only where a spare thread is left for it, whatever the others do: its submitter
/// keeps a thread until it has run.
caf::error worker_pool::submit_awaited(entry what) {
  std::lock_guard guard{mutex_};
  if (stopped_)
    return has_stopped();
  bool has_spare = spares_running_ + awaited_.size() < spares_max();
  if (has_spare) {
    awaited_.push_back(std::move(what));
    if (!wants_spare() || call_spare()) {
      if (wants_another())
        work_arrived_.notify_one();
      return {};
    }
    awaited_.pop_back(); // no further thread to be had
  }
  return make_error(errc::overloaded, "calls within calls have taken all threads of " +
                                          options_.name + ", " + std::to_string(threads_.size()));
}

caf::error worker_pool::replace(entry next) {
  return add(std::move(next), false);
}

caf::error worker_pool::pass_on(entry next) {
  bool is_taken_here = pool_here == this && (next.awaited || !is_spare_here);
  return add(std::move(next), is_taken_here);
}

caf::error worker_pool::add(entry next, bool is_taken_here) {
  std::lock_guard guard{mutex_};
  if (stopped_ && !is_taken_here) // who would take it may have ended
    return has_stopped();
  (next.awaited ? awaited_ : queue_).push_back(std::move(next));
  if (is_taken_here)
    return {};
  if (wants_spare())
    call_spare();
  if (wants_another())
    work_arrived_.notify_one();
  return {};
}

bool worker_pool::withdraw(const void* who) {
  entry gone; // what the task captured ends outside the lock
  std::lock_guard guard{mutex_};
  for (auto* each : {&queue_, &awaited_}) {
    auto found =
        std::find_if(each->begin(), each->end(), [&](const entry& it) { return it.who == who; });
    if (found == each->end())
      continue;
    gone = std::move(*found);
    each->erase(found);
    return true;
  }
  return false;
}

void worker_pool::stop() {
  {
    std::lock_guard guard{mutex_};
    stopped_ = true;
  }
  work_arrived_.notify_all();
  spare_called_.notify_all();
  for (auto& thread : threads_)
    if (thread.joinable())
      thread.join();
}

std::size_t worker_pool::load() const {
  std::lock_guard guard{mutex_};
  return queue_.size() + awaited_.size() + running_;
}

/// Returns whether another thread is to be woken: one at a time, and who has woken wakes the next
/// while there is more to do. Short tasks that come together then wake few threads.
bool worker_pool::wants_another() {
  if (is_idle() || sleeping_ == 0 || std::exchange(waking_, true))
    return false;
  return true;
}

/// Lets one more spare thread come; returns whether there was one.
bool worker_pool::call_spare() {
  if (resting_ > 0) {
    --resting_;
    ++called_;
    spare_called_.notify_one();
  } else if (threads_.size() < options_.threads + spares_max()) {
    try {
      threads_.emplace_back([this] { run_spare(); });
    } catch (const std::system_error&) {
      return false;
    }
    name_thread(threads_.back(), options_.name);
  } else {
    return false;
  }
  ++coming_;
  return true;
}

void worker_pool::run() {
  pool_here = this;
  std::unique_lock lock{mutex_};
  for (;;) {
    while (!stopped_ && is_idle()) {
      ++sleeping_;
      work_arrived_.wait(lock);
      --sleeping_;
      waking_ = false;
    }
    if (is_idle())
      return;
    run_first(lock, awaited_.empty() ? queue_ : awaited_);
  }
}

void worker_pool::run_spare() {
  pool_here = this;
  is_spare_here = true;
  std::unique_lock lock{mutex_};
  for (;;) {
    --coming_;
    while (!awaited_.empty()) {
      ++spares_running_;
      run_first(lock, awaited_);
      --spares_running_;
    }
    ++resting_;
    spare_called_.wait(lock, [this] { return called_ > 0 || stopped_; });
    if (called_ == 0)
      return;
    --called_;
  }
}

void worker_pool::run_first(std::unique_lock<std::mutex>& lock, entries& from) {
  auto work = std::move(from.front().work);
  from.pop_front();
  ++running_;
  bool wake = wants_another(); // this task may take long
  lock.unlock();
  if (wake)
    work_arrived_.notify_one();
  work();
  work = nullptr; // what the task captured ends outside the lock
  lock.lock();
  --running_;
}

} // namespace fly::actors
