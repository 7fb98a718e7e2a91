#include "fly/cluster/discovery_thread.hpp"

#include <utility>

#include <pthread.h>

#include "fly/actors/error.hpp"

namespace fly::cluster {

discovery_thread::discovery_thread(setup what)
    : setup_(std::move(what)), resolver_(setup_.dns_server, setup_.time_max) {
  setup_.found(setup_.what.addresses());
  if (setup_.what.questions().empty())
    return;
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
  if (thread_.joinable())
    thread_.join();
}

void discovery_thread::run() {
  std::unique_lock lock{mutex_};
  while (!stopped_) {
    lock.unlock();
    ask_all();
    lock.lock();
    stop_.wait_for(lock, setup_.every, [this] { return stopped_; });
  }
}

void discovery_thread::ask_all() {
  const auto& questions = setup_.what.questions();
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const auto& name = questions[i].name;
    bool is_cluster = name == setup_.name;
    auto answer = resolver_.ask(name, is_cluster ? "vms." + name : std::string{});
    {
      std::lock_guard guard{mutex_};
      if (stopped_)
        return;
    }
    setup_.what.take(i, answer.addresses);
    note(name, answer.addresses ? caf::error{} : answer.addresses.error());
    if (is_cluster)
      note("vms." + name, setup_.what.take_machines(answer.text));
  }
  setup_.found(setup_.what.addresses());
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
