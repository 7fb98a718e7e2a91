#include "fly/testing/index.hpp"

#include <algorithm>

#include "fly/repo/position.hpp"

namespace fly::testing {

history_index::history_index(const history& what) {
  std::map<std::pair<std::string, std::uint64_t>, std::size_t> open;
  std::map<std::string, const event*> faults;
  for (const auto& each : what) {
    if (each.action == action::fault)
      add_fault(each, faults);
    else
      add(each, open);
  }
  for (const auto& each : calls)
    if (each.begun->action == action::write)
      writes[{each.begun->key, each.begun->value}].push_back(each);
  for (const auto& [name, begun] : faults) // never ended
    if (begun->key.starts_with("freeze"))
      frozen[begun->process].push_back({begun->time, moment::max()});
    else if (begun->key.starts_with("cut"))
      deaf.push_back({begun->time, moment::max()});
}

void history_index::add(const event& each,
                        std::map<std::pair<std::string, std::uint64_t>, std::size_t>& open) {
  switch (each.action) {
  case action::last:
    last_reads[each.key] = &each;
    if (auto where = repo::parse_position(each.position))
      newest_timeline = std::max(newest_timeline, where->timeline);
    break;
  case action::life:
    if (each.phase == phase::ok)
      ended_lives[each.process] = each.time;
    break;
  case action::cut: {
    auto at = repo::lsn::parse(each.value);
    timelines.add(static_cast<std::uint32_t>(each.number),
                  {static_cast<std::uint32_t>(each.bound),
                   at ? std::optional<repo::lsn>{*at} : std::nullopt});
    newest_timeline = std::max(newest_timeline, static_cast<std::uint32_t>(each.number));
    break;
  }
  case action::write:
  case action::read:
  case action::call: {
    auto name = std::pair{each.process, each.call};
    if (each.phase == phase::invoke) {
      open[name] = calls.size();
      calls.push_back({&each, nullptr});
    } else if (auto found = open.find(name); found != open.end()) {
      calls[found->second].ended = &each;
      open.erase(found);
    } else {
      never_begun.push_back(&each);
    }
    break;
  }
  default:
    break;
  }
}

void history_index::add_fault(const event& each, std::map<std::string, const event*>& open) {
  auto name = each.key + " " + each.process;
  if (each.phase == phase::invoke) {
    open.emplace(name, &each);
    return;
  }
  auto found = open.find(name);
  if (found == open.end())
    return;
  if (each.key.starts_with("freeze"))
    frozen[each.process].push_back({found->second->time, each.time});
  else if (each.key.starts_with("cut"))
    deaf.push_back({found->second->time, each.time});
  open.erase(found);
}

moment history_index::frozen_time(const std::string& process, moment from, moment to) const {
  moment result{0};
  for (const auto& [target, times] : frozen)
    if (is_of(process, target))
      for (const auto& each : times)
        result += each.shared_with(from, to);
  return result;
}

bool history_index::was_deaf(moment from, moment to) const {
  auto overlaps = [&](const span_of_time& each) { return each.begin < to && from < each.end; };
  return std::any_of(deaf.begin(), deaf.end(), overlaps) ||
         std::any_of(frozen.begin(), frozen.end(), [&](const auto& each) {
           return std::any_of(each.second.begin(), each.second.end(), overlaps);
         });
}

void finding_list::add(flaw what, std::string text, std::vector<const event*> evidence) {
  ++report_.flaws[what];
  if (report_.findings.size() >= findings_max_)
    return;
  finding result{.what = what, .text = std::move(text)};
  for (const auto* each : evidence)
    if (each != nullptr)
      result.evidence.push_back(*each);
  sort_by_time(result.evidence);
  report_.findings.push_back(std::move(result));
}

bool is_of(const std::string& process, const std::string& target) {
  return process == target || process.starts_with(target + "/") ||
         process.starts_with(target + "-");
}

std::string seconds_text(moment what) {
  auto ms = what.count() / 1000;
  auto part = std::to_string(ms % 1000);
  return std::to_string(ms / 1000) + "." + std::string(3 - part.size(), '0') + part + " s";
}

} // namespace fly::testing
