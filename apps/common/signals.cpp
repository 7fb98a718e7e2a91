#include "apps/common/signals.hpp"

#include <csignal>

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

int wait_for_end(const std::function<void()>& on_hangup) {
  auto set = end_signals();
  int number = 0;
  while (sigwait(&set, &number) == 0 && number == SIGHUP && on_hangup)
    on_hangup();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  return number;
}

} // namespace fly::apps
