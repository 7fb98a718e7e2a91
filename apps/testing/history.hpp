#pragma once

#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include <caf/expected.hpp>

namespace fly::testing {

/// Time on the monotonic clock of the machine, which all of its processes share.
using moment = std::chrono::microseconds;

/// What an event tells of its action.
enum class phase : std::uint8_t {
  invoke,  ///< It begins.
  ok,      ///< It was done.
  fail,    ///< It was not, and never will be: "nothing ran".
  unknown, ///< It may have been.
};

/// What is done. Each `key` names a list, to which writes append values that are used once.
enum class action : std::uint8_t {
  write, ///< Appends `value` to the list `key`.
  read,  ///< Reads the list `key`: `values`.
  last,  ///< The same on the primary when all is over; what is not in it is lost.
  call,  ///< Any other call: only its end and its deadline count.
  fault, ///< A fault of kind `key`, done to `process`, which may be one, all lives of a machine
         ///< ("lax-1" is also "lax-1/3") or a region: `invoke` to the last of its end.
  life,  ///< A process: `invoke` when it begins, `ok` when it has ended in order.
  gauge, ///< A reading: `number` of what `key` names, whose bound is `bound`.
  turn,  ///< A write of a leader as it was found: begun in `epoch`, committed while `fence` held.
  cut,   ///< Timeline `number` left timeline `bound` at the LSN `value`; "" where nobody knows.
};

/// One line of a history. A value.
struct event {
  enum phase phase = phase::invoke;
  enum action action = action::call;
  /// Who did it: the machine and the life of the process, "lax-1/3". Faults: to whom.
  std::string process{};
  /// Pairs the end of an action with its beginning; counted by each process.
  std::uint64_t call = 0;
  moment time{0};
  /// The longest that it may take; 0 for no bound.
  moment deadline{0};
  std::string key{};
  std::string value{};
  std::vector<std::string> values{};
  /// Whose session it is in; empty for none. Reads in one must see its writes, and never less than
  /// its reads before.
  std::string session{};
  /// The key under which a write happens once, however often it is asked for; empty for none.
  std::string once{};
  /// The position (fly::repo::position) that came back, as text; empty for none.
  std::string position{};
  /// Whether the write was known to be visible to the local database when it returned.
  bool visible = false;
  /// How it failed, or whatever helps a reader.
  std::string note{};
  std::uint64_t epoch = 0;
  std::uint64_t fence = 0;
  std::uint64_t number = 0;
  std::uint64_t bound = 0;

  friend bool operator==(const event&, const event&) = default;
};

/// All that was seen, in the order of time.
using history = std::vector<event>;

/// Most events of a history, and bytes of a line.
inline constexpr std::size_t events_max = 4'000'000;
inline constexpr std::size_t line_bytes_max = 64 * 1024;

std::string_view to_string(phase what);
std::string_view to_string(action what);

/// Returns the event as one line of JSON, without its end. Fields that are empty are left out.
std::string to_line(const event& what);

/// Reads what `to_line` writes.
/// Errors: errc::invalid_argument, with the beginning of the line.
caf::expected<event> parse_line(std::string_view line);

/// Reads lines until the end, and appends them. A last line without an end is of a process that was
/// killed while it wrote: it is left out.
/// Errors: errc::invalid_argument with the number of the line, or that there are more than
/// `events_max`; `into` keeps what came before.
caf::error read_history(std::istream& from, history& into);

/// Sorts by time; what happened at once stays as it is.
void sort_by_time(history& what);

} // namespace fly::testing
