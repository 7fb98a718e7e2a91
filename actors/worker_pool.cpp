#include "fly/actors/worker_pool.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include <pthread.h>

#include "fly/actors/error.hpp"

namespace fly::actors {

namespace {

thread_local const worker_pool* pool_here = nullptr; // whose this thread is

} // namespace

worker_pool::worker_pool(worker_pool_options options) : options_(std::move(options)) {
  assert(options_.threads >= 1);
  assert(options_.threads <= 1024);
  threads_.reserve(options_.threads);
  try {
    for (std::size_t i = 0; i < options_.threads; ++i) {
      threads_.emplace_back([this] { run(); });
      pthread_setname_np(threads_.back().native_handle(), options_.name.substr(0, 15).c_str());
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

caf::error worker_pool::submit(task work, const void* who) {
  assert(work);
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

caf::error worker_pool::replace(entry next) {
  return add(std::move(next), false);
}

caf::error worker_pool::pass_on(entry next) {
  return add(std::move(next), pool_here == this);
}

caf::error worker_pool::add(entry next, bool is_taken_here) {
  std::lock_guard guard{mutex_};
  if (stopped_ && !is_taken_here) // who would take it may have ended
    return has_stopped();
  queue_.push_back(std::move(next));
  if (!is_taken_here && wants_another())
    work_arrived_.notify_one();
  return {};
}

bool worker_pool::withdraw(const void* who) {
  entry gone; // what the task captured ends outside the lock
  std::lock_guard guard{mutex_};
  auto found =
      std::find_if(queue_.begin(), queue_.end(), [&](const entry& it) { return it.who == who; });
  if (found == queue_.end())
    return false;
  gone = std::move(*found);
  queue_.erase(found);
  return true;
}

void worker_pool::stop() {
  {
    std::lock_guard guard{mutex_};
    stopped_ = true;
  }
  work_arrived_.notify_all();
  for (auto& thread : threads_)
    if (thread.joinable())
      thread.join();
}

std::size_t worker_pool::load() const {
  std::lock_guard guard{mutex_};
  return queue_.size() + running_;
}

/// Returns whether another thread is to be woken: one at a time, and who has woken wakes the next
/// while there is more to do. Short tasks that come together then wake few threads.
bool worker_pool::wants_another() {
  if (queue_.empty() || sleeping_ == 0 || std::exchange(waking_, true))
    return false;
  return true;
}

void worker_pool::run() {
  pool_here = this;
  std::unique_lock lock{mutex_};
  for (;;) {
    while (!stopped_ && queue_.empty()) {
      ++sleeping_;
      work_arrived_.wait(lock);
      --sleeping_;
      waking_ = false;
    }
    if (queue_.empty())
      return;
    auto work = std::move(queue_.front().work);
    queue_.pop_front();
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
}

} // namespace fly::actors
