#include "fly/cluster/warning_limit.hpp"

namespace fly::cluster {

bool warning_limit::take(const std::string& text, time_point now) {
  if (said_.size() >= texts_max)
    std::erase_if(said_, [&](const auto& each) { return now - each.second >= quiet; });
  auto said = said_.find(text);
  if (said == said_.end() ? said_.size() >= texts_max : now - said->second < quiet)
    return false;
  said_[text] = now;
  return true;
}

} // namespace fly::cluster
