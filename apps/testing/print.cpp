#include "fly/testing/print.hpp"

#include <iomanip>
#include <map>
#include <ostream>

#include "fly/testing/outage.hpp"

namespace fly::testing {

namespace {

/// A fault is felt for so long after its end.
constexpr std::chrono::milliseconds settles{1500};

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

void print(std::ostream& out, const history& what, const check_report& report) {
  for (const auto& each : report.findings) {
    out << to_string(each.what) << ": " << each.text << '\n';
    for (const auto& one : each.evidence)
      out << "    " << to_line(one) << '\n';
  }
  print_counts(out, "operations", report.operations);
  print_counts(out, "faults", report.faults);
  auto outages = write_outages(what, settles);
  if (!outages.empty())
    out << "longest time of a process without a write that succeeded, by the fault:\n";
  for (const auto& [kind, times] : outages)
    out << "  " << std::left << std::setw(20) << kind << to_text(times) << '\n';
  out << "acknowledged writes beyond the switch point of a promotion: " << report.lost_past_switch
      << " lost\n";
  std::map<std::string_view, std::uint64_t> flaws;
  for (const auto& [flaw, count] : report.flaws)
    flaws[to_string(flaw)] = count;
  print_counts(out, "flaws", flaws);
}

} // namespace fly::testing
