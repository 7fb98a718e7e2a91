// In the place of actors/worker_pool.cpp: its threads are fibers of the machine.
#include "fly/actors/worker_pool.hpp"

#include <utility>

#include "fly/actors/error.hpp"
#include "tests/simulation/world.hpp"

namespace fly::actors {

worker_pool::worker_pool(worker_pool_options options) : options_(std::move(options)) {}

worker_pool::~worker_pool() = default;

caf::error worker_pool::has_stopped() const {
  return make_error(errc::shutting_down, options_.name + " has stopped");
}

/// A task that waits for another one is as any other here: there are no spare threads.
bool worker_pool::is_awaited() const noexcept {
  return false;
}

caf::error worker_pool::submit(task work, const void* who) {
  if (stopped_)
    return has_stopped();
  if (queue_.size() >= options_.queue_max)
    return make_error(errc::overloaded, options_.name + " has " +
                                            std::to_string(options_.queue_max) +
                                            " tasks waiting, its limit");
  return replace({std::move(work), who});
}

caf::error worker_pool::replace(entry next) {
  if (stopped_)
    return has_stopped();
  queue_.push_back(std::move(next));
  if (!wants_another())
    return {};
  ++running_;
  auto& all = simulation::world::present();
  all.threads.start(*all.when.running(), [this] { run(); });
  return {};
}

caf::error worker_pool::pass_on(entry next) {
  queue_.push_back(std::move(next)); // the fiber that runs takes it
  return {};
}

bool worker_pool::withdraw(const void* who) {
  return std::erase_if(queue_, [&](const entry& each) { return each.who == who; }) > 0;
}

void worker_pool::stop() {
  stopped_ = true;
}

std::size_t worker_pool::load() const {
  return queue_.size() + running_;
}

bool worker_pool::wants_another() {
  return running_ < options_.threads;
}

void worker_pool::run() {
  while (!queue_.empty()) {
    auto work = std::move(queue_.front().work);
    queue_.pop_front();
    work();
    if (simulation::fiber::running()->is_killed())
      return;
  }
  --running_;
}

} // namespace fly::actors
