#include "fly/testing/outage.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "fly/testing/index.hpp"

namespace fly::testing {

namespace {

struct fault_time {
  std::string kind;
  std::string target;
  moment begin{0};
  moment end{moment::max()};
};

std::vector<fault_time> faults_of(const history& what) {
  std::vector<fault_time> result;
  for (const auto& each : what) {
    if (each.action != action::fault)
      continue;
    if (each.phase == phase::invoke) {
      result.push_back({each.key, each.process, each.time});
      continue;
    }
    auto found = std::find_if(result.rbegin(), result.rend(), [&](const fault_time& it) {
      return it.kind == each.key && it.target == each.process && it.end == moment::max();
    });
    if (found != result.rend())
      found->end = each.time;
  }
  return result;
}

/// Successful writes by the machine and life that did them: when they began and ended.
struct success {
  moment begun;
  moment ended;
};
using successes = std::map<std::string, std::vector<success>>;

successes successes_of(const history& what) {
  successes result;
  std::map<std::pair<std::string, std::uint64_t>, moment> begun;
  for (const auto& each : what) {
    if (each.action != action::write)
      continue;
    if (each.phase == phase::invoke)
      begun[{each.process, each.call}] = each.time;
    else if (auto found = begun.find({each.process, each.call}); found != begun.end()) {
      if (each.phase == phase::ok)
        result[each.process].push_back({found->second, each.time});
      begun.erase(found);
    }
  }
  return result;
}

/// The longest time of one process in [from, to] without a success.
moment longest_gap(const std::vector<success>& all, moment from, moment to) {
  moment longest{0};
  auto last = from;
  for (const auto& each : all) {
    if (each.ended < from || each.begun < from)
      continue;
    if (each.ended > to)
      break;
    longest = std::max(longest, each.ended - last);
    last = each.ended;
  }
  return std::max(longest, to - last);
}

} // namespace

std::map<std::string, outages> write_outages(const history& what, moment settles) {
  std::map<std::string, outages> result;
  auto done = successes_of(what);
  auto faults = faults_of(what);
  for (const auto& fault : faults) {
    if (fault.end == moment::max())
      continue;
    auto until = fault.end + settles;
    for (const auto& next : faults) // what that one does is not this one's
      if (next.begin > fault.end)
        until = std::min(until, next.begin);
    moment worst{0};
    bool known = false;
    for (const auto& [process, all] : done) {
      bool lives = all.front().ended < fault.begin && all.back().ended > until;
      if (!lives || is_of(process, fault.target))
        continue;
      known = true;
      worst = std::max(worst, longest_gap(all, fault.begin, until));
    }
    if (known)
      result[fault.kind].push_back(worst);
  }
  for (auto& [kind, each] : result)
    std::sort(each.begin(), each.end());
  return result;
}

moment percentile(const outages& sorted, unsigned percent) {
  if (sorted.empty())
    return moment{0};
  auto rank = (sorted.size() * percent + 99) / 100;
  return sorted[std::clamp<std::size_t>(rank, 1, sorted.size()) - 1];
}

std::string to_text(const outages& sorted) {
  using namespace std::chrono_literals;
  auto ms = [](moment it) { return std::to_string(it.count() / 1000) + " ms"; };
  std::string result = std::to_string(sorted.size()) + "  p50 " + ms(percentile(sorted, 50)) +
                       "  p95 " + ms(percentile(sorted, 95)) + "  max " +
                       ms(percentile(sorted, 100)) + "  |";
  static constexpr std::array<std::pair<moment, const char*>, 5> edges{
      {{10ms, "<10ms"}, {100ms, "<100ms"}, {1s, "<1s"}, {5s, "<5s"}, {moment::max(), ">=5s"}}};
  auto from = sorted.begin();
  for (const auto& [edge, name] : edges) {
    auto to = std::lower_bound(from, sorted.end(), edge);
    result += std::string{" "} + name + ":" + std::to_string(to - from);
    from = to;
  }
  return result;
}

} // namespace fly::testing
