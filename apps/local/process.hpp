#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace fly::local {

/// Names one process for good: a pid is given out again, a pid with its start is not.
struct process_mark {
  pid_t pid = 0;
  /// Boot and time of the start, "<boot id>/<clock ticks>"; empty for no process.
  std::string started{};

  friend bool operator==(const process_mark&, const process_mark&) = default;
};

/// Returns the mark of a running process; an empty one where there is none (or a zombie).
process_mark mark_of(pid_t pid);

/// Returns whether exactly this process still runs.
bool is_running(const process_mark& which);

/// Sends a signal to exactly this process, and never to one that has got its pid since. Returns
/// whether it was there.
bool send_signal(const process_mark& which, int signal);

/// The same to its children as well, after it, so that none is born meanwhile: PostgreSQL's lead
/// groups of their own.
bool signal_with_children(const process_mark& which, int signal);

/// Waits until the process is gone. Returns false after `longest`.
bool wait_until_gone(const process_mark& which, std::chrono::milliseconds longest);

/// How to start a process.
struct process_setup {
  /// Program (looked up in PATH) and arguments.
  std::vector<std::string> arguments{};
  /// Its whole environment, "NAME=value".
  std::vector<std::string> environment{};
  /// Takes what it prints.
  std::filesystem::path log{};
};

/// A child process in a group of its own, which dies with the thread that started it. Not
/// thread-safe. A resource.
class process {
public:
  /// Starts it. A program that cannot be run ends with code 127 and says why in the log. Throws
  /// std::runtime_error where no process can be made.
  explicit process(process_setup setup);

  /// Kills the whole group where it still runs.
  ~process();

  process(const process&) = delete;
  process& operator=(const process&) = delete;

  const process_mark& mark() const noexcept { return mark_; }
  const std::filesystem::path& log() const noexcept { return setup_.log; }

  /// Returns how it ended, "exit code 1" or "signal 9"; nothing while it runs.
  std::optional<std::string> ended();

  /// Sends a signal to the whole group; does nothing where it has ended.
  void signal(int number);

  /// Returns the last `lines_max` lines of its log.
  std::string log_tail(std::size_t lines_max) const;

private:
  process_setup setup_;
  process_mark mark_;
  std::optional<std::string> ended_;
};

/// Stops processes as Fly does: SIGINT, after `kill_timeout` SIGTERM, a second later SIGKILL.
void stop_all(const std::vector<process*>& which, std::chrono::milliseconds kill_timeout);

} // namespace fly::local
