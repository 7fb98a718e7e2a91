#include "apps/local/delay_line.hpp"

#include <algorithm>
#include <cassert>

namespace fly::local {

delay_line::time_point delay_line::in_order(time_point due) {
  last_due_ = std::max(last_due_, due); // the delay may have become shorter meanwhile
  return last_due_;
}

void delay_line::push(std::span<const char> bytes, time_point due) {
  assert(!end_);
  if (bytes.empty())
    return;
  chunks_.push_back({in_order(due), std::string{bytes.begin(), bytes.end()}});
  bytes_ += bytes.size();
}

void delay_line::end(ending how, time_point due) {
  if (end_)
    return;
  end_ = how;
  end_due_ = in_order(due);
}

std::span<const char> delay_line::ready(time_point now) const {
  if (chunks_.empty() || chunks_.front().due > now)
    return {};
  return std::span<const char>{chunks_.front().bytes}.subspan(done_);
}

void delay_line::pop(std::size_t count) {
  assert(!chunks_.empty());
  done_ += count;
  bytes_ -= count;
  assert(done_ <= chunks_.front().bytes.size());
  if (done_ < chunks_.front().bytes.size())
    return;
  chunks_.pop_front();
  done_ = 0;
}

std::optional<ending> delay_line::ended(time_point now) const {
  return end_ && chunks_.empty() && end_due_ <= now ? end_ : std::nullopt;
}

std::optional<delay_line::time_point> delay_line::next() const {
  if (!chunks_.empty())
    return chunks_.front().due;
  return end_ ? std::optional{end_due_} : std::nullopt;
}

} // namespace fly::local
