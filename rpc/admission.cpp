#include "fly/rpc/admission.hpp"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

#include "fly/actors/error.hpp"
#include "fly/actors/mutant.hpp"
#include "fly/actors/worker_pool.hpp"
#include "fly/rpc/server.hpp"

namespace fly::rpc {

using clock = std::chrono::steady_clock;
using std::chrono::microseconds;
using std::chrono::milliseconds;

admission::admission(std::size_t running_max, std::size_t queue_max) noexcept
    : running_max_(std::max<std::size_t>(running_max, 1)), queue_max_(queue_max) {}

admission::verdict admission::arrive() noexcept {
  if (running_ < running_max_) {
    ++running_;
    return verdict::run;
  }
  if (waiting_ >= queue_max_ && !mutant("unbounded_queue"))
    return verdict::refuse;
  ++waiting_;
  return verdict::wait;
}

bool admission::leave(std::optional<microseconds> took) noexcept {
  if (took)
    usual_ = usual_.count() == 0 ? *took : (usual_ * 7 + *took) / 8;
  if (waiting_ > 0) { // the place goes on to the next
    --waiting_;
    return true;
  }
  --running_;
  return false;
}

milliseconds admission::retry_after() const noexcept {
  auto ahead = static_cast<std::int64_t>(waiting_ + 1);
  auto places = static_cast<std::int64_t>(running_max_);
  auto longest = std::chrono::duration_cast<microseconds>(retry_after_max);
  auto usual = std::min(usual_, longest);
  return std::clamp(std::chrono::ceil<milliseconds>(usual * ahead / places), milliseconds{1},
                    retry_after_max);
}

void function_gate::enter(actors::worker_pool& workers, entrant who) {
  who.awaited = workers.is_awaited();
  auto each = std::make_shared<const entrant>(std::move(who));
  caf::error refused;
  {
    std::lock_guard guard{mutex_};
    switch (counts_.arrive()) {
    case admission::verdict::wait:
      waiting_.push_back(std::move(each));
      return;
    case admission::verdict::refuse:
      refused =
          no_place("as many calls of the function run and wait as may", counts_.retry_after());
      break;
    case admission::verdict::run:
      refused = workers.submit(task_of(workers, each), each->who);
      if (!refused)
        return;
      counts_.leave(std::nullopt); // nobody waits: it had a place at once
      break;
    }
  }
  each->refuse(std::move(refused));
}

bool function_gate::withdraw(actors::worker_pool& workers, const void* who) {
  entrant_ptr gone; // what it captured ends outside the lock
  {
    std::lock_guard guard{mutex_};
    auto found = std::find_if(waiting_.begin(), waiting_.end(),
                              [&](const entrant_ptr& each) { return each->who == who; });
    if (found != waiting_.end()) {
      gone = std::move(*found);
      waiting_.erase(found);
      counts_.abandon();
      return true;
    }
    if (!workers.withdraw(who))
      return false;
  }
  leave(workers, std::nullopt, false);
  return true;
}

std::function<void()> function_gate::task_of(actors::worker_pool& workers, entrant_ptr who) {
  return [self = shared_from_this(), &workers, who = std::move(who)] { self->run(workers, *who); };
}

void function_gate::run(actors::worker_pool& workers, const entrant& who) {
  auto begun = clock::now();
  std::optional<microseconds> took;
  if (who.run())
    took = std::chrono::duration_cast<microseconds>(clock::now() - begun);
  leave(workers, took, true);
}

/// Gives a place to the next that waits; it goes to the end of the pool's queue, so that other
/// functions have their turn.
void function_gate::leave(actors::worker_pool& workers, std::optional<microseconds> took,
                          bool at_end) {
  for (;;) {
    entrant_ptr next;
    caf::error refused;
    {
      std::lock_guard guard{mutex_};
      if (!counts_.leave(std::exchange(took, std::nullopt)))
        return;
      next = std::move(waiting_.front());
      waiting_.pop_front();
      actors::worker_pool::entry what{task_of(workers, next), next->who, next->awaited};
      refused = at_end ? workers.pass_on(std::move(what)) : workers.replace(std::move(what));
    }
    if (!refused)
      return;
    next->refuse(std::move(refused)); // and its place goes on
  }
}

caf::error no_place(const std::string& why, milliseconds retry_after) {
  return make_error(
      errc::overloaded, why,
      {{not_started_detail, "1"}, {retry_after_detail, std::to_string(retry_after.count())}});
}

milliseconds retry_after_of(const caf::error& reason) {
  auto details = details_of(reason);
  auto found = details.find(retry_after_detail);
  if (found == details.end())
    return retry_after_default;
  std::int64_t value = 0;
  const auto& text = found->second;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return milliseconds{std::clamp<std::int64_t>(value, 1, retry_after_max.count())};
}

} // namespace fly::rpc
