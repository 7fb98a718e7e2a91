#include "tests/faults/tally.hpp"

#include <algorithm>
#include <fstream>

#include <unistd.h>

#include "fly/actors/error.hpp"

namespace fly::faults {

void tally::add(clock::time_point begun, std::chrono::milliseconds timeout,
                const caf::error& reason) {
  constexpr std::size_t failures_max = 1000;
  auto now = clock::now();
  std::lock_guard guard{mutex_};
  ++counts_[reason ? to_string(code_of(reason)) : "ok"];
  auto took = std::chrono::duration_cast<std::chrono::milliseconds>(now - begun);
  over_ = std::max(over_, took - timeout);
  if (reason && failures_.size() < failures_max)
    failures_.push_back({begun, reason});
  if (!reason && !healed_ && begun >= mark_)
    healed_ = now;
}

clock::time_point tally::mark() {
  std::lock_guard guard{mutex_};
  mark_ = clock::now();
  healed_.reset();
  return mark_;
}

std::optional<clock::time_point> tally::healed() const {
  std::lock_guard guard{mutex_};
  return healed_;
}

std::vector<tally::failure> tally::failures() const {
  std::lock_guard guard{mutex_};
  return failures_;
}

std::size_t tally::calls() const {
  std::lock_guard guard{mutex_};
  std::size_t result = 0;
  for (const auto& [name, count] : counts_)
    result += count;
  return result;
}

std::map<std::string, std::size_t> tally::counts() const {
  std::lock_guard guard{mutex_};
  return counts_;
}

std::chrono::milliseconds tally::over_deadline() const {
  std::lock_guard guard{mutex_};
  return over_;
}

load::load(std::vector<call> calls, std::size_t threads, std::chrono::milliseconds timeout,
           std::chrono::milliseconds pause) {
  for (std::size_t i = 0; i < threads; ++i)
    threads_.emplace_back([this, make = calls[i % calls.size()], timeout, pause] {
      while (!ending_) {
        auto begun = clock::now();
        auto reason = make(timeout);
        results_.add(begun, timeout, reason);
        std::this_thread::sleep_for(pause);
      }
    });
}

load::~load() {
  stop();
}

void load::stop() {
  ending_ = true;
  for (auto& it : threads_)
    it.join();
  threads_.clear();
}

std::size_t resident_kib(int pid) {
  std::ifstream file{"/proc/" + (pid == 0 ? std::string{"self"} : std::to_string(pid)) + "/statm"};
  std::size_t all = 0;
  std::size_t resident = 0;
  file >> all >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) / 1024;
}

} // namespace fly::faults
