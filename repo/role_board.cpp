#include "fly/repo/role_board.hpp"

#include <utility>

namespace fly::repo {

role_board::role_board(std::chrono::milliseconds fresh_interval, listener tell)
    : roles_(fresh_interval), tell_(std::move(tell)) {}

/// Changes what is known, tells of it, and wakes who is to look earlier than he knows.
template <class Change>
void role_board::update(Change change) {
  std::lock_guard guard{mutex_};
  auto due = roles_.fresh_due();
  change();
  tell();
  if (wake_ && roles_.fresh_due() < due)
    wake_();
}

void role_board::saw_fresh(const server_identity& server) {
  update([&] {
    fresh_at_ = clock::now();
    roles_.saw_fresh(server, fresh_at_);
  });
}

void role_board::saw(const server_identity& server) {
  update([&] { roles_.saw(server); });
}

void role_board::failed(std::string reason) {
  update([&] { roles_.failed(std::move(reason), clock::now()); });
}

void role_board::had_no_room(std::string reason) {
  update([&] { roles_.had_no_room(std::move(reason), clock::now()); });
}

void role_board::refused() {
  update([&] { roles_.refused(); });
}

void role_board::tell_again() {
  std::lock_guard guard{mutex_};
  tell(true);
}

role_board::clock::time_point role_board::fresh_due() const {
  std::lock_guard guard{mutex_};
  return roles_.fresh_due();
}

void role_board::wake_by(std::function<void()> wake) {
  std::lock_guard guard{mutex_};
  wake_ = std::move(wake);
}

void role_board::wake() {
  std::lock_guard guard{mutex_};
  if (wake_)
    wake_();
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
  wake_ = nullptr;
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
