#pragma once

#include <chrono>
#include <string>

#include <sys/types.h>

namespace fly::bench {

/// A child process whose input and output are pipes; ended with its input, or else killed.
class process {
public:
  /// Starts `program role argument`; with `one_core` all its threads share one. `tls` is the folder
  /// of the certificates that it uses, empty for none.
  process(const std::string& program, const std::string& role, const std::string& argument,
          bool one_core, const std::string& tls);
  ~process();
  process(const process&) = delete;
  process& operator=(const process&) = delete;

  void write(const std::string& line) const;

  /// Returns the next line of its output; throws where it has ended or says nothing for 20 s.
  std::string read();

  /// Returns the CPU time of all its threads.
  std::chrono::microseconds cpu() const;

private:
  pid_t id_ = -1;
  int input_ = -1;
  int output_ = -1;
  std::string buffer_;
};

} // namespace fly::bench
