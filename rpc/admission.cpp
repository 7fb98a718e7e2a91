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

bool admission::leave(microseconds took) noexcept {
  usual_ = usual_.count() == 0 ? took : (usual_ * 7 + took) / 8;
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
  milliseconds later{0};
  {
    std::lock_guard guard{mutex_};
    switch (counts_.arrive()) {
    case admission::verdict::wait:
      waiting_.push_back(std::move(who));
      return;
    case admission::verdict::refuse:
      later = counts_.retry_after();
      break;
    case admission::verdict::run:
      break;
    }
  }
  if (later.count() > 0)
    return who.refuse(no_place("as many calls of the function run and wait as may", later));
  for (std::optional<entrant> each{std::move(who)}; each; each = next(microseconds{0})) {
    auto refused = workers.submit([self = shared_from_this(), each = *each] { self->run(each); });
    if (!refused)
      return;
    each->refuse(std::move(refused)); // and its place goes on to one that came meanwhile
  }
}

/// Runs one call after the other, as long as there are any, and then leaves the worker to others.
void function_gate::run(const entrant& first) {
  for (std::optional<entrant> each{first}; each;) {
    auto begun = clock::now();
    each->run();
    each = next(std::chrono::duration_cast<microseconds>(clock::now() - begun));
  }
}

std::optional<function_gate::entrant> function_gate::next(microseconds took) {
  std::lock_guard guard{mutex_};
  if (!counts_.leave(took))
    return std::nullopt;
  auto result = std::move(waiting_.front());
  waiting_.pop_front();
  return result;
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
