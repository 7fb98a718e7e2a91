#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <caf/error.hpp>

namespace fly::faults {

using clock = std::chrono::steady_clock;

/// Counts how calls ended, with the few that failed. Its size does not grow with the number of
/// calls. Safe from any thread.
class tally {
public:
  /// A call that failed, and when it was begun.
  struct failure {
    clock::time_point begun;
    caf::error reason;
  };

  /// Adds a call that ended now; an empty reason is a success.
  void add(clock::time_point begun, std::chrono::milliseconds timeout, const caf::error& reason);

  /// Looks for the first success of a call begun from now on. Returns now.
  clock::time_point mark();

  /// Returns when the first call that was begun after the mark succeeded.
  std::optional<clock::time_point> healed() const;

  /// Returns the first thousand failures.
  std::vector<failure> failures() const;

  std::size_t calls() const;

  /// Returns how many calls ended how: "ok", "timeout", ...
  std::map<std::string, std::size_t> counts() const;

  /// Returns by how much the slowest call was over its timeout; negative where none was.
  std::chrono::milliseconds over_deadline() const;

private:
  mutable std::mutex mutex_;
  std::map<std::string, std::size_t> counts_;
  std::vector<failure> failures_;
  std::chrono::milliseconds over_ = std::chrono::milliseconds::min();
  clock::time_point mark_{};
  std::optional<clock::time_point> healed_;
};

/// Threads that make calls, one after the other each, until the object ends.
class load {
public:
  /// Makes one call with the timeout that it is given; returns its error.
  using call = std::function<caf::error(std::chrono::milliseconds timeout)>;

  /// Thread i makes `calls[i % calls.size()]`, `pause` after the one before.
  load(std::vector<call> calls, std::size_t threads, std::chrono::milliseconds timeout,
       std::chrono::milliseconds pause = std::chrono::milliseconds{1});
  ~load();

  load(const load&) = delete;
  load& operator=(const load&) = delete;

  tally& results() { return results_; }

  /// Ends the calls and waits for the last ones.
  void stop();

private:
  tally results_;
  std::atomic<bool> ending_{false};
  std::vector<std::thread> threads_;
};

/// Returns the memory of process `pid` (0: our own) that is in RAM, in KiB.
std::size_t resident_kib(int pid = 0);

} // namespace fly::faults
