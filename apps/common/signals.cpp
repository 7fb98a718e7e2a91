#include "apps/common/signals.hpp"

#include <array>
#include <csignal>

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace fly::apps {

namespace {

sigset_t end_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGHUP);
  return set;
}

} // namespace

void hold_end_signals() {
  auto set = end_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

bool is_end_asked() {
  sigset_t pending;
  sigpending(&pending);
  return sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1 ||
         sigismember(&pending, SIGHUP) == 1;
}

bool wait_for_readable(int descriptor, std::chrono::milliseconds longest) {
  auto set = end_signals();
  int signals = ::signalfd(-1, &set, SFD_CLOEXEC); // not read from: the signal goes on waiting
  std::array<pollfd, 2> wait{{{descriptor, POLLIN, 0}, {signals, POLLIN, 0}}};
  bool readable = ::poll(wait.data(), wait.size(), static_cast<int>(longest.count())) > 0 &&
                  (wait[0].revents & POLLIN) != 0;
  ::close(signals);
  return readable;
}

int wait_for_end(const std::function<void()>& on_hangup) {
  auto set = end_signals();
  int number = 0;
  while (sigwait(&set, &number) == 0 && number == SIGHUP && on_hangup)
    on_hangup();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  return number;
}

} // namespace fly::apps
