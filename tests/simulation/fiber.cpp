#include "tests/simulation/fiber.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <map>
#include <utility>

#include <pthread.h>
#include <time.h>
#include <ucontext.h>

namespace fly::simulation {

namespace {

constexpr std::size_t stack_bytes = 256 * 1024;

fiber* running_fiber = nullptr;
std::multimap<const void*, fiber*> waiting; // by condition variable

} // namespace

struct fiber::context {
  ucontext_t own{};
  ucontext_t back{};
  std::unique_ptr<char[]> stack;
};

fiber::fiber(fibers& all, machine& owner, std::function<void()> body)
    : all_(all), owner_(&owner), body_(std::move(body)), context_(std::make_unique<context>()) {
  if (!all_.stacks_.empty()) {
    context_->stack = std::move(all_.stacks_.back());
    all_.stacks_.pop_back();
  } else {
    context_->stack = std::unique_ptr<char[]>(new char[stack_bytes]);
  }
  ::getcontext(&context_->own);
  context_->own.uc_stack.ss_sp = context_->stack.get();
  context_->own.uc_stack.ss_size = stack_bytes;
  context_->own.uc_link = &context_->back;
  auto self = reinterpret_cast<std::uintptr_t>(this);
  ::makecontext(&context_->own, reinterpret_cast<void (*)()>(&fiber::enter), 2,
                static_cast<unsigned>(self >> 32), static_cast<unsigned>(self));
}

fiber::~fiber() {
  assert(over_);
  all_.stacks_.push_back(std::move(context_->stack));
}

fiber* fiber::running() noexcept {
  return running_fiber;
}

void fiber::enter(unsigned high, unsigned low) {
  auto self = static_cast<std::uintptr_t>(high) << 32 | low;
  reinterpret_cast<fiber*>(self)->run();
}

void fiber::run() {
  try {
    if (!killed_)
      body_();
  } catch (const fiber_killed&) {
    // its machine has crashed
  }
  body_ = nullptr;
  over_ = true;
}

void fiber::resume() {
  auto* before = std::exchange(running_fiber, this);
  ::swapcontext(&context_->back, &context_->own);
  running_fiber = before;
}

void fiber::suspend() {
  ::swapcontext(&context_->own, &context_->back);
  if (killed_)
    throw fiber_killed{};
}

/// Ends the present wait at `when`, unless it is over by then.
void fiber::resume_at(moment when) {
  all_.when_.at(when, owner_, [weak = weak_from_this(), turn = turn_] {
    auto self = weak.lock();
    if (!self || !self->waits_ || turn != self->turn_)
      return;
    self->waits_ = false;
    self->resume();
  });
}

void fiber::wait_until(moment when) {
  assert(running_fiber == this);
  if (killed_)
    throw fiber_killed{};
  waits_ = true;
  ++turn_;
  resume_at(when);
  suspend();
}

void fiber::wake() {
  if (waits_)
    resume_at(now());
}

fibers::~fibers() {
  for (const auto& each : all_) {
    each->killed_ = true;
    if (!each->over_)
      each->resume();
  }
}

void fibers::start(machine& owner, std::function<void()> body) {
  forget_ended();
  auto fresh = std::make_shared<fiber>(*this, owner, std::move(body));
  all_.push_back(fresh);
  when_.at(now(), &owner, [weak = std::weak_ptr{fresh}] {
    if (auto self = weak.lock(); self && !self->over_)
      self->resume();
  });
}

void fibers::kill(const machine& owner) {
  std::vector<std::shared_ptr<fiber>> own;
  for (const auto& each : all_)
    if (each->owner_ == &owner)
      own.push_back(each);
  for (const auto& each : own) {
    each->killed_ = true;
    each->waits_ = false;
    if (!each->over_)
      each->resume();
  }
  own.clear();
  forget_ended();
}

void fibers::forget_ended() {
  all_.remove_if([](const auto& each) { return each->over_ && each.use_count() == 1; });
}

void pass(moment time) {
  if (auto* self = fiber::running())
    self->wait_until(now() + time);
}

namespace {

/// Waits until the machine's monotonic clock shows `shown`, or a notification.
void wait_on(const void* condition, machine_clock::steady shown) {
  auto* self = fiber::running();
  if (self == nullptr)
    std::abort(); // blocking code outside of a fiber: the simulation would stand still
  auto place = waiting.emplace(condition, self);
  try {
    self->wait_until(self->owner().clock.when(shown, now()));
  } catch (...) {
    waiting.erase(place);
    throw;
  }
  waiting.erase(place);
}

void notify(const void* condition) {
  auto [first, last] = waiting.equal_range(condition);
  for (auto each = first; each != last; ++each)
    each->second->wake();
}

machine_clock::steady time_of(const timespec& time) {
  return machine_clock::steady{std::chrono::seconds{time.tv_sec} +
                               std::chrono::nanoseconds{time.tv_nsec}};
}

} // namespace

} // namespace fly::simulation

// -- in the place of the library's own
// ----------------------------------------------------------------

namespace sim = fly::simulation;

/// A mutex may be held by a fiber that waits for something else: others let the time pass.
extern "C" int pthread_mutex_lock(pthread_mutex_t* mutex) {
  for (;;) {
    int result = ::pthread_mutex_trylock(mutex);
    if (result != EBUSY)
      return result;
    if (sim::fiber::running() == nullptr)
      std::abort(); // nobody would ever release it
    sim::pass(std::chrono::microseconds{100});
  }
}

extern "C" int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t,
                                      const timespec* until) {
  ::pthread_mutex_unlock(mutex);
  try {
    sim::wait_on(condition, sim::time_of(*until));
  } catch (...) {
    ::pthread_mutex_lock(mutex);
    throw;
  }
  ::pthread_mutex_lock(mutex);
  return 0;
}

extern "C" int nanosleep(const timespec* time, timespec*) {
  sim::pass(std::chrono::seconds{time->tv_sec} + std::chrono::nanoseconds{time->tv_nsec});
  return 0;
}

void std::condition_variable::notify_one() noexcept {
  sim::notify(native_handle());
}

void std::condition_variable::notify_all() noexcept {
  sim::notify(native_handle());
}
