#pragma once

#include <array>
#include <cstdio>
#include <stdexcept>
#include <string>

#include <sys/wait.h>

namespace fly::test {

/// What a command line left.
struct shell_answer {
  int code = -1;      ///< -1 where it was ended by a signal.
  std::string text{}; ///< Both outputs.
};

/// Runs a line of a shell and waits for its end.
inline shell_answer shell(const std::string& line) {
  shell_answer result;
  auto* pipe = ::popen(("{ " + line + "\n} 2>&1").c_str(), "r");
  if (pipe == nullptr)
    throw std::runtime_error{"no shell"};
  std::array<char, 4096> buffer{};
  while (auto count = std::fread(buffer.data(), 1, buffer.size(), pipe))
    result.text.append(buffer.data(), count);
  auto status = ::pclose(pipe);
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

/// Returns whether `text` has `part` in it.
inline bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

} // namespace fly::test
