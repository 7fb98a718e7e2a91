#include "fly/actors/restart_window.hpp"

#include <algorithm>

namespace fly::actors {

restart_window::restart_window(std::size_t restarts_max, std::chrono::milliseconds within)
    : restarts_max_(restarts_max),
      within_(std::clamp<std::chrono::milliseconds>(within, std::chrono::milliseconds{1},
                                                    std::chrono::hours{24 * 365})) {}

bool restart_window::record(time_point now) {
  count(now);
  restarts_.push_back(now);
  if (restarts_.size() <= restarts_max_)
    return true;
  restarts_.pop_front();
  return false;
}

std::size_t restart_window::count(time_point now) {
  while (!restarts_.empty() && now - restarts_.front() > within_)
    restarts_.pop_front();
  return restarts_.size();
}

} // namespace fly::actors
