#include "apps/local/nemesis_plan.hpp"

#include <algorithm>
#include <utility>

namespace fly::local {

namespace {

using std::chrono::milliseconds;

bool holds(const std::vector<std::string>& all, const std::string& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

/// Returns why there is no such fault in these regions; "" where it is possible.
std::string impossible(const nemesis_options& in, const std::string& kind) {
  bool of_network = kind.starts_with("cut") || kind == "delay";
  if (of_network && in.regions.size() < 2)
    return kind + " needs two regions";
  if (kind == "promote" && in.databases.size() < 2)
    return kind + " needs a replica";
  return {};
}

} // namespace

const std::vector<std::string>& nemesis_kinds() {
  static const std::vector<std::string> all{"kill-node",     "restart-node",     "freeze-node",
                                            "kill-database", "restart-database", "freeze-database",
                                            "cut-both-ways", "cut-one-way",      "delay",
                                            "freeze-dns",    "promote"};
  return all;
}

std::string nemesis_options::problem() const {
  for (const auto& each : kinds) {
    if (!holds(nemesis_kinds(), each)) {
      std::string all;
      for (const auto& known : nemesis_kinds())
        all += (all.empty() ? "" : ", ") + known;
      return "'" + each + "' is not one of " + all;
    }
    if (auto why = impossible(*this, each); !why.empty())
      return why;
  }
  return {};
}

nemesis_plan::nemesis_plan(nemesis_options options)
    : options_(std::move(options)),
      random_(static_cast<std::minstd_rand::result_type>(options_.seed)) {
  random_.discard(16); // small seeds begin alike
  if (options_.kinds.empty())
    for (const auto& each : nemesis_kinds())
      if (impossible(options_, each).empty())
        options_.kinds.push_back(each);
}

milliseconds nemesis_plan::between(int least_ms, int most_ms) {
  return milliseconds{least_ms +
                      static_cast<int>(below(static_cast<std::size_t>(most_ms - least_ms + 1)))};
}

/// Every second time the primary's, where most is to be found.
const std::string& nemesis_plan::any_of(const std::vector<std::string>& regions) {
  return below(2) == 0 ? options_.primary : regions[below(regions.size())];
}

std::vector<nemesis_act> nemesis_plan::next() {
  if (round_.empty()) {
    round_ = options_.kinds;
    for (auto i = round_.size(); i > 1; --i)
      std::swap(round_[i - 1], round_[below(i)]);
  }
  auto kind = std::move(round_.back());
  round_.pop_back();
  auto result = kind == "promote"                            ? promotion()
                : kind.starts_with("cut") || kind == "delay" ? of_network(kind)
                                                             : of_part(kind);
  result.emplace_back(between(700, 1100));
  return result;
}

std::vector<nemesis_act> nemesis_plan::of_part(const std::string& kind) {
  auto dash = kind.find('-');
  fault what{.kind = kind.substr(0, dash), .part = kind.substr(dash + 1)};
  if (what.part == "node")
    what.region = any_of(options_.regions);
  else if (what.part == "database")
    what.region = any_of(options_.databases);
  if (!what.lasts())
    return {what};
  auto time = what.kind == "kill"       ? between(300, 1500)
              : what.part == "database" ? between(600, 1600)
                                        : between(1000, 2500);
  return {what, time, fault_choice{what.kind, what.part, what.region}};
}

std::vector<nemesis_act> nemesis_plan::of_network(const std::string& kind) {
  fault what{.kind = kind.starts_with("cut") ? "cut" : kind,
             .region = options_.regions[below(options_.regions.size())]};
  if (kind == "cut-one-way")
    what.one_way = below(2) == 0 ? "in" : "out";
  if (kind == "delay")
    what.delay = between(60, 200);
  return {what, between(800, 2400), fault_choice{.kind = what.kind, .region = what.region}};
}

/// A replica becomes the primary while the old one is cut off and goes on; then it is seen again,
/// still writable, and at last whatever does not follow the new one is rebuilt.
std::vector<nemesis_act> nemesis_plan::promotion() {
  auto others = options_.databases;
  std::erase(others, options_.primary);
  auto next = others[below(others.size())];
  auto old = std::exchange(options_.primary, next);
  return {fault{.kind = "cut", .region = old},
          between(300, 900),
          fault{.kind = "promote", .region = next},
          between(500, 1500),
          fault_choice{.kind = "cut", .region = old},
          between(1500, 2500),
          fault{.kind = "rebuild"}};
}

} // namespace fly::local
