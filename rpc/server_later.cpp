// The part of server.hpp that begins calls which are answered later.
#include <mutex>
#include <utility>
#include <vector>

#include "fly/rpc/server_job.hpp"

namespace fly::rpc {

using clock = std::chrono::steady_clock;

/// Begins a call that is answered later; whoever cancels it keeps its ticket meanwhile, so that its
/// watch is not ended within.
void server::begin_later(const std::shared_ptr<job>& todo) {
  const auto& wanted = todo->wanted;
  auto begun = clock::now();
  if (!todo->permit.begin())
    return;
  if (wanted.parts)
    wanted.parts->add(queue_part, between(wanted.arrived, begun));
  if (wanted.context.deadline <= begun)
    return wanted.respond(too_late(wanted.name));
  {
    std::lock_guard guard{mutex_};
    ++later_;
  }
  auto reply = [this, todo, begun](caf::expected<bytes> outcome) {
    if (todo->wanted.parts)
      todo->wanted.parts->add(function_part, between(begun, clock::now()));
    todo->wanted.respond(std::move(outcome));
    std::lock_guard guard{mutex_};
    --later_;
    answered_.notify_all(); // within the lock: who waits may end this object
  };
  auto end = todo->function->later(wanted.context, todo->arguments(), std::move(reply));
  todo->watch.emplace(&wanted.context, std::move(end));
}

std::size_t server::later() const {
  std::lock_guard guard{mutex_};
  return later_;
}

void server::end_later() {
  std::vector<std::shared_ptr<ticket>> permits;
  std::unique_lock lock{mutex_};
  for (const auto& [key, permit] : remote_)
    permits.push_back(permit);
  lock.unlock();
  for (const auto& each : permits)
    each->cancel();
  lock.lock();
  answered_.wait(lock, [this] { return later_ == 0; });
}

} // namespace fly::rpc
