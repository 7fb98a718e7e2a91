#include "tests/simulation/trace.hpp"

#include <algorithm>
#include <cstdio>

namespace fly::simulation {

void trace::add(std::string_view who, std::string_view text) {
  char head[64];
  auto us = std::chrono::duration_cast<std::chrono::microseconds>(now()).count();
  int length =
      std::snprintf(head, sizeof head, "%4lld.%06lld %-8.*s ",
                    static_cast<long long>(us / 1'000'000), static_cast<long long>(us % 1'000'000),
                    static_cast<int>(std::min<std::size_t>(who.size(), 20)), who.data());
  std::string line{head, static_cast<std::size_t>(length)};
  line += text;
  for (char each : line)
    hash_ = (hash_ ^ static_cast<unsigned char>(each)) * 1099511628211U;
  if (keep_all_ || lines_.size() < last_max) {
    lines_.push_back(std::move(line));
    return;
  }
  lines_[next_] = std::move(line);
  next_ = (next_ + 1) % last_max;
}

std::vector<std::string> trace::lines() const {
  std::vector<std::string> result;
  for (std::size_t i = 0; i < lines_.size(); ++i)
    result.push_back(lines_[(next_ + i) % lines_.size()]);
  return result;
}

} // namespace fly::simulation
