#include "fly/repo/ask_pace.hpp"

#include <algorithm>

namespace fly::repo {

void ask_pace::came(time_point now, bool alone) {
  auto first = now + guess_;
  if (alone) {
    gap_ = options_.gap_first;
    due_ = first;
    return;
  }
  // Who came before wants less of the log, mostly: their questions will do.
  due_ = std::min(due_, std::max(first, asked_ + gap_ / 2));
}

void ask_pace::asked(time_point now) {
  asked_before_ = asked_;
  asked_ = now;
}

void ask_pace::ended(time_point since) {
  // Steps of a size that does not depend on how late a wait was, down twice as large as up: a third
  // of the first questions find it, however long the others take.
  if (since >= asked_before_) {
    guess_ -= guess_ / 16;
    return;
  }
  std::chrono::nanoseconds not_yet = asked_before_ - since;
  if (not_yet > guess_)
    guess_ = std::min<std::chrono::nanoseconds>(
        guess_ + std::min<std::chrono::nanoseconds>(guess_ / 32 + std::chrono::microseconds{2},
                                                    not_yet - guess_),
        options_.gap_max);
}

void ask_pace::answered(time_point now, bool ended_some) {
  if (ended_some)
    gap_ = options_.gap_first;
  else
    gap_ = std::min<std::chrono::nanoseconds>(gap_ * 9 / 8, options_.gap_max);
  due_ = now + gap_;
}

} // namespace fly::repo
