#include "fly/cluster/log.hpp"

#include <climits>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include <poll.h>
#include <unistd.h>

namespace fly::cluster {

namespace {

/// Writes lines to stderr where that takes them at once: who reads it may be stuck, and the threads
/// that log have other things to do. Safe from any thread.
class stderr_writer {
public:
  void write(std::string line) {
    // So much a pipe that is writable takes whole, without waiting.
    if (line.size() > PIPE_BUF)
      line.replace(PIPE_BUF - 4, std::string::npos, "...\n");
    std::lock_guard guard{mutex_};
    if (dropped_ > 0 && takes_more()) {
      put("fly: warning: " + std::to_string(dropped_) +
          " lines of the log were dropped: nobody reads them\n");
      dropped_ = 0;
    }
    if (takes_more())
      put(line);
    else
      ++dropped_;
  }

private:
  static bool takes_more() {
    pollfd one{STDERR_FILENO, POLLOUT, 0};
    return ::poll(&one, 1, 0) > 0;
  }

  /// One call a line: lines of several processes do not mix.
  static void put(const std::string& line) {
    [[maybe_unused]] auto written = ::write(STDERR_FILENO, line.data(), line.size());
  }

  std::mutex mutex_;
  std::uint64_t dropped_ = 0; // guarded by mutex_; since the last line that was written
};

} // namespace

std::string_view to_string(log_level level) noexcept {
  switch (level) {
  case log_level::debug:
    return "debug";
  case log_level::info:
    return "info";
  case log_level::warning:
    return "warning";
  case log_level::error:
    break;
  }
  return "error";
}

log_sink log_to_stderr(log_level least) {
  return [least, out = std::make_shared<stderr_writer>()](log_level level, std::string_view text) {
    if (level < least)
      return;
    std::string line{"fly: "};
    line += to_string(level);
    line += ": ";
    line += text;
    line += '\n';
    out->write(std::move(line));
  };
}

} // namespace fly::cluster
