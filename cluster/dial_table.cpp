#include "fly/cluster/dial_table.hpp"

#include <algorithm>

namespace fly::cluster {

dial_table::dial_table(actors::backoff_options delays, std::uint64_t seed)
    : delays_(delays), seed_(seed) {}

void dial_table::want(const std::vector<std::string>& addresses) {
  for (auto& [address, entry] : targets_)
    entry.wanted = false;
  for (const auto& address : addresses) {
    if (auto found = targets_.find(address); found != targets_.end()) {
      found->second.wanted = true;
    } else if (targets_.size() < addresses_max) {
      ++seed_;
      target fresh{.delays = actors::backoff{delays_, seed_},
                   .flaps = actors::backoff{delays_, ~seed_},
                   .reached_id = {}};
      targets_.emplace(address, std::move(fresh));
    }
  }
  std::erase_if(targets_,
                [](const auto& entry) { return !entry.second.wanted && !entry.second.under_way; });
}

std::vector<std::string> dial_table::due(time_point now, const served& is_served) {
  auto under_way = static_cast<std::size_t>(std::count_if(
      targets_.begin(), targets_.end(), [](const auto& entry) { return entry.second.under_way; }));
  std::vector<decltype(targets_)::pointer> waiting;
  for (auto& target : targets_) {
    const auto& [address, entry] = target;
    if (!entry.own && !entry.under_way && entry.wanted && entry.next <= now &&
        !is_served(address, entry.reached_id))
      waiting.push_back(&target);
  }
  // Who has waited longest comes first: those that never answer must not take all turns.
  std::stable_sort(waiting.begin(), waiting.end(),
                   [](auto* a, auto* b) { return a->second.next < b->second.next; });
  std::vector<std::string> result;
  for (auto* each : waiting) {
    if (under_way++ >= attempts_max)
      break;
    each->second.under_way = true;
    result.push_back(each->first);
  }
  return result;
}

void dial_table::reached(const std::string& address, const std::string& id) {
  auto found = targets_.find(address);
  if (found == targets_.end())
    return;
  found->second.under_way = false;
  found->second.reached_id = id;
  found->second.delays.reset();
}

void dial_table::failed(const std::string& address, time_point now) {
  auto found = targets_.find(address);
  if (found == targets_.end())
    return;
  found->second.under_way = false;
  found->second.next = now + found->second.delays.next();
}

void dial_table::own(const std::string& address) {
  auto found = targets_.find(address);
  if (found == targets_.end())
    return;
  found->second.under_way = false;
  found->second.own = true;
}

void dial_table::lost(std::string_view id, std::chrono::steady_clock::duration lived,
                      time_point now) {
  for (auto& [address, entry] : targets_) {
    if (entry.reached_id != id)
      continue;
    entry.reached_id.clear();
    if (lived >= delays_.max)
      entry.flaps.reset();
    entry.next = now + entry.flaps.next();
  }
}

} // namespace fly::cluster
