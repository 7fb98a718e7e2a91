// Deadlines, calls and waits that do not end, bounds, and leaders that were deposed.
#include <algorithm>

#include "fly/testing/index.hpp"

namespace fly::testing {

namespace {

void check_deadline(const history_index& in, const one_call& each, const check_limits& limits,
                    finding_list& into) {
  const auto& begun = *each.begun;
  if (each.ended == nullptr) {
    auto life = in.ended_lives.find(begun.process);
    if (life != in.ended_lives.end() && life->second > begun.time)
      into.add(flaw::stuck_call,
               std::string{to_string(begun.action)} + " never ended, and " + begun.process +
                   " ended in order " + seconds_text(life->second - begun.time) + " later",
               {&begun});
    return;
  }
  if (begun.deadline.count() == 0)
    return;
  auto took = each.ended->time - begun.time;
  auto frozen = in.frozen_time(begun.process, begun.time, each.ended->time);
  auto longest = begun.deadline + limits.deadline_slack + frozen;
  if (took > longest)
    into.add(flaw::past_deadline,
             std::string{to_string(begun.action)} + " of " + begun.process + " took " +
                 seconds_text(took) + ", its deadline was " + seconds_text(begun.deadline) +
                 (frozen.count() > 0 ? ", frozen for " + seconds_text(frozen) : ""),
             {&begun, each.ended});
}

/// Of each process when a value was first read, by (process, list, value).
using first_reads = std::map<std::tuple<std::string, std::string, std::string>, const event*>;

first_reads reads_of(const history& what) {
  first_reads result;
  for (const auto& each : what)
    if (each.action == action::read && each.phase == phase::ok)
      for (const auto& value : each.values)
        result.emplace(std::tuple{each.process, each.key, value}, &each);
  return result;
}

void check_wait(const history_index& in, const first_reads& seen, const one_call& each,
                const check_limits& limits, finding_list& into) {
  bool waited = each.begun->action == action::write && each.ended_as(phase::ok) &&
                !each.ended->visible && each.begun->deadline.count() > 0 &&
                each.ended->time - each.begun->time >= each.begun->deadline * 9 / 10;
  if (!waited)
    return;
  auto read = seen.find({each.begun->process, each.begun->key, each.begun->value});
  if (read == seen.end())
    return;
  auto late = each.ended->time - read->second->time -
              in.frozen_time(each.begun->process, read->second->time, each.ended->time);
  if (late > limits.wake_slack)
    into.add(flaw::stuck_waiter,
             each.begun->process + " waited until its deadline for '" + each.begun->value +
                 "', which it had read " + seconds_text(late) + " before",
             {each.begun, read->second, each.ended});
}

} // namespace

void check_time(const history_index& in, const history& what, const check_limits& limits,
                finding_list& into) {
  auto seen = reads_of(what);
  for (const auto& each : in.calls) {
    check_deadline(in, each, limits, into);
    check_wait(in, seen, each, limits, into);
  }
  for (const auto& each : what) {
    if (each.action == action::gauge && each.number > each.bound)
      into.add(flaw::bound_exceeded,
               each.key + " of " + each.process + " is " + std::to_string(each.number) +
                   ", its bound is " + std::to_string(each.bound),
               {&each});
    if (each.action == action::turn && each.epoch < each.fence)
      into.add(flaw::deposed_leader,
               "'" + each.value + "' was begun in epoch " + std::to_string(each.epoch) +
                   " and committed in epoch " + std::to_string(each.fence),
               {&each});
  }
}

} // namespace fly::testing
