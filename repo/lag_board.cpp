#include "fly/repo/lag_board.hpp"

#include <algorithm>

namespace fly::repo {

void lag_board::add(time_point asked, const position& where) {
  if (!samples_.empty() && asked < samples_.back().asked)
    return;
  bool dense = samples_.size() > 1 && samples_.back().asked - samples_.end()[-2].asked < spacing;
  if (dense)
    samples_.pop_back();
  samples_.push_back({asked, where});
  if (samples_.size() > samples_max)
    samples_.pop_front();
}

std::optional<position> lag_board::enough_for(time_point since) const {
  auto it = std::find_if(samples_.begin(), samples_.end(),
                         [&](const sample& each) { return each.asked >= since; });
  return it == samples_.end() ? std::nullopt : std::optional{it->where};
}

std::optional<lag_board::time_point> lag_board::asked_last() const {
  return samples_.empty() ? std::nullopt : std::optional{samples_.back().asked};
}

std::optional<std::chrono::microseconds> lag_board::lag_of(const progress& server,
                                                           time_point now) const {
  for (auto it = samples_.rbegin(); it != samples_.rend(); ++it)
    if (judge(it->where, server) == verdict::visible)
      return std::chrono::duration_cast<std::chrono::microseconds>(now - it->asked);
  return std::nullopt;
}

} // namespace fly::repo
