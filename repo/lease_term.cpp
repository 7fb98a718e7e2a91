#include "fly/repo/lease_term.hpp"

#include <algorithm>

namespace fly::repo {

void lease_term::granted(const cluster::epoch& turn, time_point sent) noexcept {
  turn_ = turn;
  until_ = sent + lasts_ - lasts_ / 8;
  due_ = sent + lasts_ / 3;
}

void lease_term::refused(std::chrono::milliseconds left, time_point now) noexcept {
  turn_.reset();
  // Right after its end, and now and then before: it may be given up early.
  constexpr std::chrono::milliseconds after_the_end{10};
  due_ = now + std::min(std::max(left, std::chrono::milliseconds{}) + after_the_end, lasts_ / 3);
}

void lease_term::failed(time_point now) noexcept {
  due_ = now + lasts_ / 12;
}

void lease_term::missing(time_point now) noexcept {
  turn_.reset();
  due_ = now + lasts_;
}

std::optional<cluster::epoch> lease_term::held(time_point now) const noexcept {
  return turn_ && now < until_ ? turn_ : std::nullopt;
}

lease_term::time_point lease_term::answer_by(time_point now) const noexcept {
  auto longest = now + lasts_ / 3;
  return held(now) ? std::min(longest, until_) : longest;
}

} // namespace fly::repo
