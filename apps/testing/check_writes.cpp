// Writes that are lost, doubled, there in spite of what was said, or of a database that was left.
#include <algorithm>
#include <optional>

#include "fly/repo/position.hpp"
#include "fly/testing/index.hpp"

namespace fly::testing {

namespace {

std::string name_of(const event& write) {
  return "'" + write.value + "' in " + write.key;
}

const event* acknowledged(const std::vector<one_call>& calls) {
  for (const auto& each : calls)
    if (each.ended_as(phase::ok))
      return each.ended;
  return nullptr;
}

/// Whether the write lies beyond the point up to which the last timeline has its own.
bool is_past_switch(const history_index& in, const event& acknowledged) {
  auto where = repo::parse_position(acknowledged.position);
  if (!where || where->timeline >= in.newest_timeline)
    return false;
  using kind = repo::timeline_history::share::kind;
  auto shared = in.timelines.shared(where->timeline, in.newest_timeline);
  return shared.what != kind::prefix || shared.until < where->lsn;
}

void check_lost(const history_index& in, check_report& report, finding_list& into) {
  for (const auto& [name, calls] : in.writes) {
    auto last = in.last_reads.find(name.first);
    const auto* said = acknowledged(calls);
    if (last == in.last_reads.end() || said == nullptr)
      continue;
    const auto& values = last->second->values;
    if (std::find(values.begin(), values.end(), name.second) != values.end())
      continue;
    bool excused = std::any_of(calls.begin(), calls.end(), [&](const one_call& each) {
      return each.ended_as(phase::ok) && is_past_switch(in, *each.ended);
    });
    if (excused) {
      ++report.lost_past_switch;
      continue;
    }
    into.add(flaw::lost_write, "acknowledged and lost: " + name_of(*said),
             {calls.front().begun, said, last->second});
  }
}

/// Each value of a list once, and written by somebody who was not told that it failed.
void check_list(const history_index& in, const event& list, finding_list& into) {
  auto values = list.values;
  std::sort(values.begin(), values.end());
  for (auto it = values.begin(); it != values.end();) {
    auto next = std::upper_bound(it, values.end(), *it);
    auto count = next - it;
    auto found = in.writes.find({list.key, *it});
    if (found == in.writes.end()) {
      into.add(flaw::never_written, "nobody wrote '" + *it + "' in " + list.key, {&list});
      it = next;
      continue;
    }
    const auto& calls = found->second;
    std::vector<const event*> evidence{&list};
    for (const auto& each : calls) {
      evidence.push_back(each.begun);
      evidence.push_back(each.ended);
    }
    if (count > 1)
      into.add(calls.front().begun->once.empty() ? flaw::doubled : flaw::doubled_key,
               "there " + std::to_string(count) + " times: " + name_of(*calls.front().begun),
               evidence);
    if (std::all_of(calls.begin(), calls.end(),
                    [](const one_call& each) { return each.ended_as(phase::fail); }))
      into.add(flaw::done_yet_failed,
               "is there, though it failed: " + name_of(*calls.front().begun), evidence);
    it = next;
  }
}

/// A timeline that was seen in an answer.
struct seen_timeline {
  moment at{0};
  std::uint32_t timeline = 0;
  const event* by = nullptr;
};

/// Returns when which timeline was first seen in an answer, in the order of time; each one higher.
std::vector<seen_timeline> timelines_seen(const history_index& in) {
  std::vector<seen_timeline> all;
  for (const auto& [name, calls] : in.writes)
    for (const auto& each : calls)
      if (each.ended_as(phase::ok))
        if (auto where = repo::parse_position(each.ended->position))
          all.push_back({each.ended->time, where->timeline, each.ended});
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.at < b.at; });
  std::vector<seen_timeline> result;
  for (const auto& each : all)
    if (result.empty() || result.back().timeline < each.timeline)
      result.push_back(each);
  return result;
}

void check_old_primary(const history_index& in, const check_limits& limits, finding_list& into) {
  auto seen = timelines_seen(in);
  for (const auto& each : in.calls) {
    if (each.begun->action != action::write || !each.ended_as(phase::ok))
      continue;
    auto where = repo::parse_position(each.ended->position);
    auto since = each.begun->time - limits.hearing_max;
    auto newest = std::upper_bound(seen.begin(), seen.end(), since,
                                   [](moment at, const auto& one) { return at < one.at; });
    if (!where || newest == seen.begin() || in.was_deaf(since, each.ended->time))
      continue;
    --newest;
    if (where->timeline < newest->timeline)
      into.add(flaw::deposed_primary,
               "timeline " + std::to_string(newest->timeline) + " was known, and timeline " +
                   std::to_string(where->timeline) + " acknowledged " + name_of(*each.ended),
               {newest->by, each.begun, each.ended});
  }
}

} // namespace

void check_writes(const history_index& in, const check_limits& limits, check_report& report,
                  finding_list& into) {
  check_lost(in, report, into);
  for (const auto& [key, list] : in.last_reads)
    check_list(in, *list, into);
  check_old_primary(in, limits, into);
  std::set<std::string> unread;
  for (const auto& [name, calls] : in.writes)
    if (!in.last_reads.contains(name.first))
      unread.insert(name.first);
  report.keys_without_last = unread.size();
}

} // namespace fly::testing
