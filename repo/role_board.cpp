#include "fly/repo/role_board.hpp"

#include <utility>

namespace fly::repo {

role_board::role_board(std::chrono::milliseconds fresh_interval, listener tell)
    : roles_(fresh_interval), tell_(std::move(tell)) {}

void role_board::saw_fresh(const server_identity& server) {
  std::lock_guard guard{mutex_};
  fresh_at_ = clock::now();
  roles_.saw_fresh(server, fresh_at_);
  tell();
}

void role_board::saw(const server_identity& server) {
  std::lock_guard guard{mutex_};
  roles_.saw(server);
  tell();
}

void role_board::failed(std::string reason) {
  std::lock_guard guard{mutex_};
  roles_.failed(std::move(reason), clock::now());
  tell();
}

void role_board::had_no_room(std::string reason) {
  std::lock_guard guard{mutex_};
  roles_.had_no_room(std::move(reason), clock::now());
  tell();
}

void role_board::refused() {
  std::lock_guard guard{mutex_};
  roles_.refused();
  tell();
}

void role_board::tell_again() {
  std::lock_guard guard{mutex_};
  tell(true);
}

role_board::clock::time_point role_board::fresh_due() const {
  std::lock_guard guard{mutex_};
  return roles_.fresh_due();
}

role_board::clock::time_point role_board::fresh_at() const {
  std::lock_guard guard{mutex_};
  return fresh_at_;
}

role_report role_board::report() const {
  std::lock_guard guard{mutex_};
  return roles_.report();
}

void role_board::close() {
  std::lock_guard guard{mutex_};
  tell_ = nullptr;
}

void role_board::tell(bool in_any_case) {
  constexpr std::chrono::milliseconds least_interval{900};
  auto now = clock::now();
  const auto& report = roles_.report();
  bool news = in_any_case || differs_in_kind(report, told_) || now - told_at_ >= least_interval;
  if (!tell_ || !news)
    return;
  told_ = report;
  told_at_ = now;
  tell_(report);
}

} // namespace fly::repo
