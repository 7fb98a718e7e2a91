#include "tests/simulation/schedule.hpp"

#include <algorithm>
#include <utility>

namespace fly::simulation {

bool schedule::is_later(const entry& a, const entry& b) noexcept {
  return a.when != b.when ? a.when > b.when : a.number > b.number;
}

void schedule::push(entry what) {
  what.number = ++last_number_;
  heap_.push_back(std::move(what));
  std::push_heap(heap_.begin(), heap_.end(), is_later);
}

void schedule::at(moment when, machine* owner, task what) {
  push({std::max(when, now()), 0, owner, owner != nullptr ? owner->life : 0, std::move(what)});
}

bool schedule::step(moment until) {
  if (heap_.empty() || heap_.front().when > until) {
    set_now(until);
    return false;
  }
  std::pop_heap(heap_.begin(), heap_.end(), is_later);
  auto next = std::move(heap_.back());
  heap_.pop_back();
  set_now(next.when);
  auto* owner = next.owner;
  last_ = nullptr;
  if (owner != nullptr && owner->life != next.life)
    return true;
  if (owner != nullptr && owner->frozen) {
    owner->deferred.push_back(std::move(next));
    return true;
  }
  clock_scope shows{owner != nullptr ? &owner->clock : nullptr};
  running_ = owner;
  if (owner != nullptr && owner == watched_) {
    auto begun = processor_seconds();
    next.what();
    watched_seconds_ += processor_seconds() - begun;
  } else {
    next.what();
  }
  running_ = nullptr;
  last_ = owner;
  return true;
}

void schedule::thaw(machine& who) {
  who.frozen = false;
  who.disturbed = now();
  for (auto& each : std::exchange(who.deferred, {})) {
    each.when = now();
    push(std::move(each));
  }
}

} // namespace fly::simulation
