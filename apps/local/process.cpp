#include "apps/local/process.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <deque>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <thread>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace fly::local {

namespace {

using namespace std::chrono_literals;

std::string boot_id() {
  std::ifstream file{"/proc/sys/kernel/random/boot_id"};
  std::string result;
  std::getline(file, result);
  return result;
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (const auto& it : texts)
    result.push_back(const_cast<char*>(it.c_str()));
  result.push_back(nullptr);
  return result;
}

template <class Claim>
bool wait_until(Claim claim, std::chrono::milliseconds longest) {
  auto deadline = std::chrono::steady_clock::now() + longest;
  while (!claim()) {
    if (std::chrono::steady_clock::now() > deadline)
      return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

/// Between fork and exec.
[[noreturn]] void become(char** arguments, char** environment, int log, pid_t parent) {
  ::setpgid(0, 0); // a Ctrl-C at the terminal is for the parent, which ends its children in order
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent)
    ::_exit(127);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  int nothing = ::open("/dev/null", O_RDONLY);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  ::execvpe(arguments[0], arguments, environment);
  ::dprintf(STDERR_FILENO, "cannot run %s: %s\n", arguments[0], std::strerror(errno));
  ::_exit(127);
}

} // namespace

process_mark mark_of(pid_t pid) {
  std::ifstream file{"/proc/" + std::to_string(pid) + "/stat"};
  std::string line;
  if (pid <= 0 || !std::getline(file, line))
    return {};
  // "pid (name) state ppid ...": the name may hold anything; the start is field 22 (proc(5)).
  std::istringstream rest{line.substr(std::min(line.size(), line.rfind(')') + 1))};
  std::vector<std::string> fields{std::istream_iterator<std::string>{rest}, {}};
  constexpr std::size_t state = 0;
  constexpr std::size_t start = 22 - 3;
  if (fields.size() <= start || fields[state] == "Z" || fields[state] == "X")
    return {};
  return {.pid = pid, .started = boot_id() + "/" + fields[start]};
}

bool is_running(const process_mark& which) {
  return !which.started.empty() && mark_of(which.pid) == which;
}

bool send_signal(const process_mark& which, int signal) {
  // The descriptor holds on to one process: looked at after it was opened, it cannot be another.
  auto descriptor = static_cast<int>(::syscall(SYS_pidfd_open, which.pid, 0));
  if (descriptor < 0)
    return false;
  bool sent =
      is_running(which) && ::syscall(SYS_pidfd_send_signal, descriptor, signal, nullptr, 0) == 0;
  ::close(descriptor);
  return sent;
}

bool signal_with_children(const process_mark& which, int signal) {
  auto pid = std::to_string(which.pid);
  if (!send_signal(which, signal))
    return false;
  std::ifstream children{"/proc/" + pid + "/task/" + pid + "/children"};
  for (pid_t child = 0; children >> child;)
    ::kill(child, signal);
  return true;
}

bool wait_until_gone(const process_mark& which, std::chrono::milliseconds longest) {
  return wait_until([&] { return !is_running(which); }, longest);
}

process::process(process_setup setup) : setup_(std::move(setup)) {
  auto arguments = pointers(setup_.arguments);
  auto environment = pointers(setup_.environment);
  int log = ::open(setup_.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log < 0)
    throw std::runtime_error{"cannot write " + setup_.log.string() + ": " + std::strerror(errno)};
  auto parent = ::getpid();
  auto child = ::fork();
  if (child == 0)
    become(arguments.data(), environment.data(), log, parent);
  ::close(log);
  if (child < 0)
    throw std::runtime_error{std::string{"cannot start a process: "} + std::strerror(errno)};
  ::setpgid(child, child); // whoever of both is first
  mark_ = mark_of(child);
  mark_.pid = child; // also where it has ended already
}

process::~process() {
  if (ended())
    return;
  signal(SIGKILL);
  while (::waitpid(mark_.pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

std::optional<std::string> process::ended() {
  int status = 0;
  if (ended_ || ::waitpid(mark_.pid, &status, WNOHANG) != mark_.pid)
    return ended_;
  ended_ = WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status))
                               : "exit code " + std::to_string(WEXITSTATUS(status));
  return ended_;
}

void process::signal(int number) {
  if (!ended()) // not waited for, so the pid is still its own
    ::kill(-mark_.pid, number);
}

std::string process::log_tail(std::size_t lines_max) const {
  std::ifstream file{setup_.log};
  std::deque<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    lines.push_back(std::move(line));
    if (lines.size() > lines_max)
      lines.pop_front();
  }
  std::string result;
  for (const auto& line : lines)
    result += line + '\n';
  return result;
}

void stop_all(const std::vector<process*>& which, std::chrono::milliseconds kill_timeout) {
  auto all_ended = [&] {
    return std::all_of(which.begin(), which.end(), [](process* it) { return it->ended(); });
  };
  for (auto [number, longest] : {std::pair{SIGINT, kill_timeout}, {SIGTERM, 1000ms}}) {
    for (auto* it : which)
      it->signal(number);
    if (wait_until(all_ended, longest))
      return;
  }
  for (auto* it : which)
    it->signal(SIGKILL);
  wait_until(all_ended, 5000ms);
}

} // namespace fly::local
