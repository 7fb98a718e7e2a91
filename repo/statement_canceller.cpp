#include "fly/repo/statement_canceller.hpp"

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <libpq-fe.h>
#include <pthread.h>

namespace fly::repo {

using clock = std::chrono::steady_clock;

cancel_handle cancel_handle_of(pg_conn* raw) {
  return {PQgetCancel(raw), [](pg_cancel* handle) { PQfreeCancel(handle); }};
}

struct statement_canceller::state {
  struct job {
    cancel_handle session;
    clock::time_point due;
  };

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<job> jobs; // guarded by mutex; one for each session that is lent, at most
  std::thread thread;    // guarded by mutex; joinable once it has begun
  bool stopped = false;  // guarded by mutex
  bool ended = false;    // guarded by mutex

  void run() {
    sigset_t broken_pipe; // PQcancel writes to a socket that the server may have closed
    sigemptyset(&broken_pipe);
    sigaddset(&broken_pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &broken_pipe, nullptr);
    std::unique_lock lock{mutex};
    while (!stopped) {
      auto next = std::min_element(jobs.begin(), jobs.end(),
                                   [](const job& a, const job& b) { return a.due < b.due; });
      if (next == jobs.end()) {
        changed.wait(lock);
      } else if (auto due = next->due; due > clock::now()) {
        changed.wait_until(lock, due);
      } else {
        next->due = clock::now() + again_after;
        auto session = next->session;
        lock.unlock();
        char why[256]; // of no use to anybody: the next attempt follows
        PQcancel(session.get(), why, sizeof why);
        session = nullptr;
        lock.lock();
      }
    }
    ended = true;
    changed.notify_all();
  }
};

statement_canceller::statement_canceller() : state_(std::make_shared<state>()) {}

statement_canceller::~statement_canceller() {
  std::unique_lock lock{state_->mutex};
  state_->stopped = true;
  state_->changed.notify_all();
  if (!state_->thread.joinable())
    return;
  bool ended =
      state_->changed.wait_for(lock, std::chrono::seconds{1}, [this] { return state_->ended; });
  auto thread = std::move(state_->thread);
  lock.unlock();
  if (ended)
    thread.join();
  else
    thread.detach(); // a frozen server has it; it owns all that it touches
}

void statement_canceller::cancel(cancel_handle session) {
  if (!session)
    return;
  std::lock_guard guard{state_->mutex};
  if (state_->stopped)
    return;
  state_->jobs.push_back({std::move(session), clock::now()});
  if (!state_->thread.joinable())
    state_->thread = std::thread{[state = state_] { state->run(); }};
  state_->changed.notify_all();
}

void statement_canceller::forget(const cancel_handle& session) {
  std::lock_guard guard{state_->mutex};
  std::erase_if(state_->jobs, [&](const auto& each) { return each.session == session; });
}

} // namespace fly::repo
