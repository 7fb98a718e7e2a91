#include "fly/testing/recorder.hpp"

#include <stdexcept>
#include <utility>

#include "fly/actors/error.hpp"

namespace fly::testing {

moment now() noexcept {
  return std::chrono::duration_cast<moment>(std::chrono::steady_clock::now().time_since_epoch());
}

recorder::recorder(const std::string& file, std::string process)
    : file_(file, std::ios::trunc), process_(std::move(process)) {
  if (!file_)
    throw std::runtime_error{"cannot write the history " + file};
  note({.phase = phase::invoke, .action = action::life});
}

recorder::~recorder() {
  note({.phase = phase::ok, .action = action::life});
}

/// With the lock held.
void recorder::write(event& what) {
  what.time = now();
  what.process = what.process.empty() ? process_ : what.process;
  auto line = to_line(what);
  if (written_ == events_max || line.size() > line_bytes_max) {
    ++dropped_;
    return;
  }
  ++written_;
  if (!(file_ << line << '\n' << std::flush)) {
    ++dropped_;
    file_.clear();
  }
}

event recorder::begin(event what) {
  std::lock_guard guard{mutex_};
  what.call = ++calls_;
  what.phase = phase::invoke;
  write(what);
  return what;
}

void recorder::end(event what, phase how) {
  std::lock_guard guard{mutex_};
  what.phase = how;
  write(what);
}

void recorder::end(event what, const caf::error& reason) {
  if (!reason)
    return end(std::move(what), phase::ok);
  what.note = to_string(reason);
  // Of a write that threw, or whose statement was refused, nothing remains.
  bool nothing = effect_of(reason) == effect::nothing_ran || reason == errc::function_failed ||
                 reason == errc::sql_failed;
  end(std::move(what), nothing ? phase::fail : phase::unknown);
}

void recorder::note(event what) {
  std::lock_guard guard{mutex_};
  write(what);
}

std::uint64_t recorder::dropped() const {
  std::lock_guard guard{mutex_};
  return dropped_;
}

} // namespace fly::testing
