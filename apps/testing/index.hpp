#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "fly/repo/timeline_history.hpp"
#include "fly/testing/checker.hpp"

namespace fly::testing {

/// A call: its beginning, and its end where it has one. Points into the history.
struct one_call {
  const event* begun = nullptr;
  const event* ended = nullptr;

  bool ended_as(phase how) const { return ended != nullptr && ended->phase == how; }
};

/// A span of time.
struct span_of_time {
  moment begin{0};
  moment end{moment::max()};

  moment shared_with(moment from, moment to) const {
    return std::max(moment{0}, std::min(end, to) - std::max(begin, from));
  }
};

/// A history by what is looked for in it. Holds pointers to it.
struct history_index {
  explicit history_index(const history& what);

  using list_value = std::pair<std::string, std::string>; // key and value

  std::vector<one_call> calls{};
  std::map<list_value, std::vector<one_call>> writes{};
  std::map<std::string, const event*> last_reads{};
  /// Ends of calls that had not begun.
  std::vector<const event*> never_begun{};
  /// Processes that ended in order, and when.
  std::map<std::string, moment> ended_lives{};
  /// When a process, a machine or a region was frozen.
  std::map<std::string, std::vector<span_of_time>> frozen{};
  /// When some could not hear others.
  std::vector<span_of_time> deaf{};
  repo::timeline_history timelines{};
  std::uint32_t newest_timeline = 0;

  moment frozen_time(const std::string& process, moment from, moment to) const;
  bool was_deaf(moment from, moment to) const;

private:
  void add(const event& each, std::map<std::pair<std::string, std::uint64_t>, std::size_t>& open);
  void add_fault(const event& each, std::map<std::string, const event*>& open);
};

/// Gathers findings for a report.
class finding_list {
public:
  finding_list(check_report& report, std::size_t findings_max)
      : report_(report), findings_max_(findings_max) {}

  void add(flaw what, std::string text, std::vector<const event*> evidence);

private:
  check_report& report_;
  std::size_t findings_max_;
};

/// The parts of `check`.
void check_writes(const history_index& in, const check_limits& limits, check_report& report,
                  finding_list& into);
void check_reads(const history& what, finding_list& into);
void check_time(const history_index& in, const history& what, const check_limits& limits,
                finding_list& into);

/// Returns whether a fault of `target` is one of the process: of itself, of its machine, whose
/// every life is "lax-1/3", or of its region.
bool is_of(const std::string& process, const std::string& target);

/// Returns "3.214 s", for texts.
std::string seconds_text(moment what);

} // namespace fly::testing
