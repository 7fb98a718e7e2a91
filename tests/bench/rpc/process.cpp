#include "tests/bench/rpc/process.hpp"

#include <csignal>
#include <cstdlib>
#include <ctime>
#include <stdexcept>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

namespace fly::bench {

namespace {

/// Runs in the child.
[[noreturn]] void run(const char* program, const char* role, const char* argument, int input,
                      int output, bool one_core, const std::string& tls) {
  if (!tls.empty())
    ::setenv("FLY_BENCH_TLS", tls.c_str(), 1);
  if (one_core) {
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET(0, &cores);
    ::sched_setaffinity(0, sizeof(cores), &cores);
  }
  ::dup2(input, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::execl(program, program, role, argument, nullptr);
  ::_exit(127);
}

} // namespace

process::process(const std::string& program, const std::string& role, const std::string& argument,
                 bool one_core, const std::string& tls) {
  int in[2];
  int out[2];
  if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0)
    throw std::runtime_error{"no pipe"};
  const auto* last = argument.empty() ? nullptr : argument.c_str();
  id_ = ::fork();
  if (id_ == 0)
    run(program.c_str(), role.c_str(), last, in[0], out[1], one_core, tls);
  ::close(in[0]);
  ::close(out[1]);
  input_ = in[1];
  output_ = out[0];
  if (id_ < 0)
    throw std::runtime_error{"cannot start " + program};
}

process::~process() {
  ::close(input_);
  ::close(output_);
  for (int i = 0; i < 200; ++i) {
    if (::waitpid(id_, nullptr, WNOHANG) != 0)
      return;
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  }
  ::kill(id_, SIGKILL);
  ::waitpid(id_, nullptr, 0);
}

void process::write(const std::string& line) const {
  auto text = line + "\n";
  if (::write(input_, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    throw std::runtime_error{"a process has ended"};
}

std::string process::read() {
  for (;;) {
    if (auto end = buffer_.find('\n'); end != std::string::npos) {
      auto line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return line;
    }
    pollfd polled{output_, POLLIN, 0};
    char part[512];
    ssize_t got = 0;
    if (::poll(&polled, 1, 20'000) <= 0 || (got = ::read(output_, part, sizeof(part))) <= 0)
      throw std::runtime_error{"a process says nothing"};
    buffer_.append(part, static_cast<std::size_t>(got));
  }
}

std::chrono::microseconds process::cpu() const {
  clockid_t which{};
  timespec used{};
  if (::clock_getcpuclockid(id_, &which) != 0 || ::clock_gettime(which, &used) != 0)
    return {};
  return std::chrono::seconds{used.tv_sec} + std::chrono::duration_cast<std::chrono::microseconds>(
                                                 std::chrono::nanoseconds{used.tv_nsec});
}

} // namespace fly::bench
