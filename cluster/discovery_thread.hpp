#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "fly/cluster/discovery.hpp"
#include "fly/cluster/dns.hpp"
#include "fly/cluster/log.hpp"

namespace fly::cluster {

/// Asks the name servers again and again on a thread of its own (c-ares blocks) and passes on the
/// damped addresses. Where nothing is to be asked it only passes on the fixed ones, once.
class discovery_thread {
public:
  struct setup {
    discovery what;
    /// Cluster name whose `vms.` text is asked for too, between two rounds; may be empty.
    std::string name{};
    std::string dns_server{};
    std::chrono::milliseconds every{5000};
    std::chrono::milliseconds time_max{3000};
    log_sink log{};
    /// Takes all addresses at the start and after each answer, on the thread if there is one.
    std::function<void(std::vector<std::string>)> found;
  };

  /// Throws std::system_error where no thread can be started; then nothing was passed on.
  explicit discovery_thread(setup what);

  /// Cancels what is being asked and waits for the thread.
  ~discovery_thread();

  discovery_thread(const discovery_thread&) = delete;
  discovery_thread& operator=(const discovery_thread&) = delete;

private:
  void run();
  void ask_all();
  void ask_machines();
  bool is_stopped();
  void note(const std::string& key, const caf::error& problem);

  setup setup_;
  resolver resolver_;
  resolver text_resolver_;                      // its questions end before the next round
  std::map<std::string, std::string> problems_; // by question: the last text that was logged
  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopped_ = false; // guarded by mutex_
  std::thread thread_;   // last: it uses the others
};

} // namespace fly::cluster
