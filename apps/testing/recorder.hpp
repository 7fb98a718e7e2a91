#pragma once

#include <chrono>
#include <cstdint>
#include <fstream>
#include <mutex>
#include <optional>
#include <string>

#include <caf/error.hpp>

#include "fly/testing/history.hpp"

namespace fly::testing {

/// Returns the time now, as events have it.
moment now() noexcept;

/// Writes what one process does into a file, a line at a time, so that what was written before a
/// crash is there after it. Safe from any thread. A resource.
class recorder {
public:
  /// Begins the file anew, with the beginning of the life of `process`. Throws std::runtime_error
  /// where it cannot be written.
  recorder(const std::string& file, std::string process);

  /// Writes that the life has ended in order: whatever still runs then will never end.
  ~recorder();

  recorder(const recorder&) = delete;
  recorder& operator=(const recorder&) = delete;

  /// Writes that `what` begins: `invoke`, now, under a number of its own. Returns it as written.
  event begin(event what);

  /// Writes how `begun` ended, now. `what` is its copy with what is new.
  void end(event what, phase how);

  /// The same, by what a call of fly returned: `ok` for no error, `fail` where nothing remains of
  /// it, else `unknown`; the error becomes the note.
  void end(event what, const caf::error& reason);

  /// Writes anything else, now.
  void note(event what);

  /// Returns how many events were left out, because there are `events_max`, or the disk is full.
  std::uint64_t dropped() const;

private:
  void write(event& what);

  mutable std::mutex mutex_;
  std::ofstream file_;        // guarded by mutex_
  std::uint64_t calls_ = 0;   // guarded by mutex_
  std::uint64_t written_ = 0; // guarded by mutex_
  std::uint64_t dropped_ = 0; // guarded by mutex_
  const std::string process_;
};

} // namespace fly::testing
