#include "fly/rpc/routes.hpp"

#include <algorithm>
#include <map>

namespace fly::rpc {

namespace {

bool matches(const route& each, const target& whom) {
  switch (whom.kind) {
  case target::kind::region:
    return each.who.region == whom.name;
  case target::kind::primary:
    return each.primary;
  case target::kind::member:
    return each.who.id == whom.name;
  }
  return false;
}

bool serves(const route& each, const wish& wanted) {
  auto found = each.offered->find(wanted.name);
  if (found == each.offered->end())
    return false;
  const auto& all = found->second;
  return wanted.fingerprint == 0 ||
         std::find(all.begin(), all.end(), wanted.fingerprint) != all.end();
}

/// Keeps those for which `claim` holds, where there are any.
template <class Claim>
void prefer(std::vector<const route*>& list, Claim claim) {
  if (std::any_of(list.begin(), list.end(), claim))
    std::erase_if(list, [&](const route* each) { return !claim(each); });
}

} // namespace

std::vector<const route*> routes::candidates(const wish& wanted) const {
  std::vector<const route*> result;
  for (const auto& each : all_) {
    bool reachable = each.offered && (each.self || each.link);
    bool refused = std::find(wanted.refused.begin(), wanted.refused.end(), each.who.id) !=
                   wanted.refused.end();
    if (reachable && !refused && matches(each, wanted.whom))
      result.push_back(&each);
  }
  prefer(result, [&](const route* each) { return serves(*each, wanted); });
  prefer(result, [](const route* each) { return each->self; });
  prefer(result, [](const route* each) { return !each->suspect; });
  return result;
}

const route* routes::pick(const wish& wanted, std::uint64_t random) const {
  auto list = candidates(wanted);
  if (list.empty())
    return nullptr;
  auto first = random % list.size();
  if (list.size() == 1)
    return list[first];
  // The second of the two is another one: 1 to size - 1 places further.
  auto second = (first + 1 + (random >> 32) % (list.size() - 1)) % list.size();
  return list[second]->in_flight->load() < list[first]->in_flight->load() ? list[second]
                                                                          : list[first];
}

std::string routes::regions() const {
  std::map<std::string, int> counts;
  for (const auto& each : all_)
    if (!each.who.observer)
      ++counts[each.who.region];
  std::string result;
  for (const auto& [region, count] : counts)
    result += (result.empty() ? "" : ", ") + region + " (" + std::to_string(count) + ")";
  return result.empty() ? "none" : result;
}

} // namespace fly::rpc
