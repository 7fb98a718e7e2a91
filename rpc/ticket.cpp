#include "fly/rpc/ticket.hpp"

#include <utility>

#include "fly/rpc/call.hpp"

namespace fly::rpc {

bool ticket::cancel() {
  if (change(state::queued, state::dropped)) {
    if (on_drop_)
      on_drop_();
    return true;
  }
  std::lock_guard guard{mutex_};
  if (!change(state::begun, state::cancelled))
    return state_.load() == state::dropped;
  for (auto* each = first_; each != nullptr; each = each->next_)
    each->on_cancel_();
  return false;
}

cancel_watch::cancel_watch(const call_context* context, std::function<void()> on_cancel)
    : of_(context != nullptr ? context->permit : nullptr), on_cancel_(std::move(on_cancel)) {
  if (of_ == nullptr)
    return;
  std::lock_guard guard{of_->mutex_};
  next_ = std::exchange(of_->first_, this);
  if (of_->cancelled())
    on_cancel_();
}

cancel_watch::~cancel_watch() {
  if (of_ == nullptr)
    return;
  std::lock_guard guard{of_->mutex_};
  auto** at = &of_->first_;
  while (*at != this)
    at = &(*at)->next_;
  *at = next_;
}

bool call_context::cancelled() const noexcept {
  return (permit != nullptr && permit->cancelled()) || deadline <= std::chrono::steady_clock::now();
}

} // namespace fly::rpc
