#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "fly/testing/history.hpp"

namespace fly::testing {

/// What a history can show to be wrong.
enum class flaw : std::uint8_t {
  lost_write,      ///< An acknowledged write is not there at the end.
  doubled_key,     ///< A write with a key was done more than once.
  doubled,         ///< A write without one that was asked for once was done more than once.
  done_yet_failed, ///< Is there, and every caller was told that nothing of it remains.
  never_written,   ///< Is there, and nobody wrote it.
  stale_read,      ///< A read lacks what its session had written.
  read_went_back,  ///< A read lacks what its session had read.
  deposed_leader,  ///< A leader's write was committed after another one had begun to lead.
  deposed_primary, ///< A write was acknowledged by a database that others had left long before.
  past_deadline,   ///< A call ended after its deadline.
  stuck_call,      ///< A call never ended, though its process did in order.
  stuck_waiter,    ///< A write waited to be visible until its deadline, long after it was.
  bound_exceeded,  ///< A gauge was above its bound.
  never_begun,     ///< An action ended that had not begun: the history itself is wrong.
};

/// Returns the enumerator's name, "lost_write".
std::string_view to_string(flaw what);

/// One thing that is wrong.
struct finding {
  flaw what = flaw::lost_write;
  /// One sentence, with names and times.
  std::string text{};
  /// The fewest events that show it, in the order of time.
  history evidence{};
};

/// What is allowed for: of a machine that has much to do, and of what takes time by its nature.
struct check_limits {
  /// Added to every deadline, beside the time that the process was frozen.
  moment deadline_slack{std::chrono::milliseconds{400}};
  /// A wait may end so long after a read on its node has seen the write.
  moment wake_slack{std::chrono::milliseconds{500}};
  /// An old primary may acknowledge writes so long after a promotion, or the end of a cut: until it
  /// hears.
  moment hearing_max{std::chrono::seconds{3}};
  /// Most findings that are kept with their evidence; all are counted.
  std::size_t findings_max = 50;
};

/// What a history shows.
struct check_report {
  /// How often an action ended how: "write ok", "read fail"; those without an end "write open".
  std::map<std::string, std::uint64_t> operations{};
  /// Faults by their kind.
  std::map<std::string, std::uint64_t> faults{};
  /// All that is wrong, by kind, and the first `findings_max` of it.
  std::map<flaw, std::uint64_t> flaws{};
  std::vector<finding> findings{};
  /// Acknowledged writes that a promotion has lost, as an asynchronous one may: their position lies
  /// beyond the point where the timeline was left. No flaw.
  std::uint64_t lost_past_switch = 0;
  /// Lists that nobody read at the end, so that nothing can be said of their writes.
  std::uint64_t keys_without_last = 0;

  bool is_clean() const { return flaws.empty(); }
};

/// Judges a history, which is sorted by time. Values are used once for each list: a value that is
/// written twice is one write that was repeated. Faults whose kind begins with "freeze" stop the
/// process that they name, and "cut" keeps processes from hearing of each other. Pure.
check_report check(const history& what, const check_limits& limits = {});

} // namespace fly::testing
