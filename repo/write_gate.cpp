#include "fly/repo/write_gate.hpp"

#include <algorithm>

namespace fly::repo {

write_gate::pass::~pass() {
  if (gate_ == nullptr)
    return;
  {
    std::lock_guard guard{gate_->mutex_};
    --gate_->running_;
  }
  gate_->left_.notify_all();
}

std::optional<write_gate::pass> write_gate::enter() {
  std::lock_guard guard{mutex_};
  if (clock::now() < held_until_)
    return std::nullopt;
  ++running_;
  return pass{*this};
}

void write_gate::hold(clock::time_point until) {
  std::lock_guard guard{mutex_};
  held_until_ = until;
}

void write_gate::hold_at_least(clock::time_point until) {
  std::lock_guard guard{mutex_};
  held_until_ = std::max(held_until_, until);
}

bool write_gate::held() const {
  std::lock_guard guard{mutex_};
  return clock::now() < held_until_;
}

bool write_gate::wait_empty(clock::time_point deadline) {
  std::unique_lock lock{mutex_};
  return left_.wait_until(lock, deadline, [this] { return running_ == 0; });
}

} // namespace fly::repo
