#include "fly/testing/checker.hpp"

#include <array>

#include "fly/testing/index.hpp"

namespace fly::testing {

std::string_view to_string(flaw what) {
  static constexpr std::array<std::string_view, 14> names{
      "lost_write", "doubled_key",    "doubled",        "done_yet_failed", "never_written",
      "stale_read", "read_went_back", "deposed_leader", "deposed_primary", "past_deadline",
      "stuck_call", "stuck_waiter",   "bound_exceeded", "never_begun"};
  return names.at(static_cast<std::size_t>(what));
}

check_report check(const history& what, const check_limits& limits) {
  check_report report;
  finding_list into{report, limits.findings_max};
  history_index in{what};
  for (const auto& each : in.calls)
    ++report.operations[std::string{to_string(each.begun->action)} + " " +
                        (each.ended ? std::string{to_string(each.ended->phase)} : "open")];
  for (const auto& each : what)
    if (each.action == action::fault && each.phase == phase::invoke)
      ++report.faults[each.key];
  for (const auto* each : in.never_begun)
    into.add(flaw::never_begun,
             "no beginning of " + std::string{to_string(each->action)} + " " +
                 std::to_string(each->call) + " of " + each->process,
             {each});
  check_writes(in, limits, report, into);
  check_reads(what, into);
  check_time(in, what, limits, into);
  return report;
}

} // namespace fly::testing
