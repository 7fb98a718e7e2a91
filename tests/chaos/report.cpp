#include "tests/chaos/report.hpp"

#include <iomanip>
#include <numeric>
#include <ostream>

#include "fly/testing/outage.hpp"

namespace fly::chaos {

namespace {

template <class Counts>
void print_counts(std::ostream& out, const char* name, const Counts& counts) {
  std::uint64_t all = 0;
  for (const auto& [key, count] : counts)
    all += count;
  out << name << " " << all << ":";
  const char* comma = " ";
  for (const auto& [key, count] : counts) {
    out << comma << key << " " << count;
    comma = ", ";
  }
  out << '\n';
}

} // namespace

void print(std::ostream& out, const testing::history& what, const testing::check_report& report) {
  for (const auto& each : report.findings) {
    out << to_string(each.what) << ": " << each.text << '\n';
    for (const auto& one : each.evidence)
      out << "    " << to_line(one) << '\n';
  }
  print_counts(out, "operations", report.operations);
  print_counts(out, "faults", report.faults);
  out << "longest time of a node without a write that succeeded, by the fault:\n";
  for (const auto& [kind, times] : testing::write_outages(what, std::chrono::milliseconds{1500}))
    out << "  " << std::left << std::setw(20) << kind << testing::to_text(times) << '\n';
  out << "acknowledged writes beyond the switch point of a promotion: " << report.lost_past_switch
      << " lost\n";
  std::map<std::string_view, std::uint64_t> flaws;
  for (const auto& [flaw, count] : report.flaws)
    flaws[to_string(flaw)] = count;
  print_counts(out, "flaws", flaws);
}

} // namespace fly::chaos
