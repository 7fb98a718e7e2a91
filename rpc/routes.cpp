#include "fly/rpc/routes.hpp"

#include <algorithm>
#include <map>

namespace fly::rpc {

namespace {

/// Bits of a fit, the more important ones above.
constexpr unsigned fits_at_all = 1U;
constexpr unsigned fits_now = 2U;
constexpr unsigned fits_here = 4U;
constexpr unsigned fits_by_name = 8U;

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

/// Returns how well `each` fits, 0 for not at all: those that serve the name before all others,
/// then this node, then those that are neither suspect nor resting.
unsigned fit(const route& each, const wish& wanted) {
  bool is_reachable = each.offered && (each.self || each.link);
  if (!is_reachable || !matches(each, wanted.whom) ||
      std::find(wanted.refused.begin(), wanted.refused.end(), each.who.id) != wanted.refused.end())
    return 0;
  bool is_avoided = each.suspect || each.load->health.rests(wanted.now);
  return fits_at_all | (serves(each, wanted) ? fits_by_name : 0U) | (each.self ? fits_here : 0U) |
         (is_avoided ? 0U : fits_now);
}

} // namespace

const route* routes::pick(const wish& wanted, std::uint64_t random) const {
  unsigned best = 0;
  std::size_t count = 0;
  const route* only = nullptr;
  for (const auto& each : all_) {
    auto how = fit(each, wanted);
    if (how == 0 || how < best)
      continue;
    count = how > best ? 1 : count + 1;
    best = how;
    only = &each;
  }
  if (count <= 1)
    return only;
  auto nth = [&](std::size_t n) {
    auto found = std::find_if(all_.begin(), all_.end(), [&](const route& each) {
      return fit(each, wanted) == best && n-- == 0;
    });
    return &*found;
  };
  auto first = random % count;
  // The second of the two is another one: 1 to count - 1 places further.
  auto second = (first + 1 + (random >> 32) % (count - 1)) % count;
  const auto* one = nth(first);
  const auto* other = nth(second);
  return other->load->calls.load() < one->load->calls.load() ? other : one;
}

bool routes::is_served(const wish& wanted) const {
  return std::any_of(all_.begin(), all_.end(),
                     [&](const route& each) { return (fit(each, wanted) & fits_by_name) != 0; });
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
