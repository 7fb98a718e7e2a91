#include "fly/cluster/discovery_thread.hpp"

#include <algorithm>
#include <utility>

#include <pthread.h>

#include "fly/actors/error.hpp"

namespace fly::cluster {

discovery_thread::discovery_thread(setup what)
    : setup_(std::move(what)), resolver_(setup_.dns_server, setup_.time_max),
      text_resolver_(setup_.dns_server, std::min(setup_.time_max, setup_.every)) {
  if (setup_.what.questions().empty()) {
    setup_.found(setup_.what.addresses());
    return;
  }
  thread_ = std::thread{[this] { run(); }};
  pthread_setname_np(thread_.native_handle(), "fly.dns");
}

discovery_thread::~discovery_thread() {
  {
    std::lock_guard guard{mutex_};
    stopped_ = true;
  }
  stop_.notify_all();
  resolver_.cancel();
  text_resolver_.cancel();
  if (thread_.joinable())
    thread_.join();
}

void discovery_thread::run() {
  setup_.found(setup_.what.addresses()); // the fixed ones
  while (!is_stopped()) {
    ask_all();
    auto next = std::chrono::steady_clock::now() + setup_.every;
    ask_machines();
    std::unique_lock lock{mutex_};
    stop_.wait_until(lock, next, [this] { return stopped_; });
  }
}

void discovery_thread::ask_all() {
  const auto& questions = setup_.what.questions();
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const auto& name = questions[i].name;
    auto answer = resolver_.ask(name, "");
    if (is_stopped())
      return;
    setup_.what.take(i, answer.addresses);
    setup_.found(setup_.what.addresses());
    note(name, answer.addresses ? caf::error{} : answer.addresses.error());
  }
}

/// By itself, so that no address waits for it: where it is not answered, that takes its whole time.
void discovery_thread::ask_machines() {
  if (setup_.name.empty() || is_stopped())
    return;
  auto answer = text_resolver_.ask("", "vms." + setup_.name);
  if (!is_stopped())
    note("vms." + setup_.name, setup_.what.take_machines(answer.text));
}

bool discovery_thread::is_stopped() {
  std::lock_guard guard{mutex_};
  return stopped_;
}

/// Logs a problem when it appears or changes, not at every round. The list of machines is optional.
void discovery_thread::note(const std::string& key, const caf::error& problem) {
  auto text = problem ? text_of(problem) : std::string{};
  auto& last = problems_[key];
  if (std::exchange(last, text) == text)
    return;
  if (!problem)
    setup_.log(log_level::info, "the name server answers again for " + key);
  else
    setup_.log(key.starts_with("vms.") ? log_level::info : log_level::warning,
               "discovery goes on with what it knows: " + text);
}

} // namespace fly::cluster
