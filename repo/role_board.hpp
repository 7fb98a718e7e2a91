#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <string>

#include "fly/repo/role_watcher.hpp"

namespace fly::repo {

/// Where all who see the local database write down what they saw, and from where changes of its
/// role are told. Safe from any thread.
class role_board {
public:
  using clock = std::chrono::steady_clock;
  /// Hears of the role: at once where it changed in kind, and once a second for how far the data
  /// is. Called by one thread at a time, in order; must not block and not call the board.
  using listener = std::function<void(const role_report&)>;

  role_board(std::chrono::milliseconds fresh_interval, listener tell);

  /// As the functions of `role_watcher`.
  void saw_fresh(const server_identity& server);
  void saw(const server_identity& server);
  void failed(std::string reason);
  void had_no_room(std::string reason);
  void refused();

  /// Tells again, for what the listener adds of its own.
  void tell_again();

  clock::time_point fresh_due() const;

  /// Has `wake` called when `fresh_due` becomes earlier, in the place of the one before; it must
  /// not block and not call the board.
  void wake_by(std::function<void()> wake);

  /// Calls it.
  void wake();

  /// Returns when it was last seen by a fresh connection.
  clock::time_point fresh_at() const;

  role_report report() const;

  /// Tells nobody from now on; returns after the last call into the listener has.
  void close();

private:
  template <class Change>
  void update(Change change);
  void tell(bool in_any_case = false); // with the mutex held

  mutable std::mutex mutex_;
  role_watcher roles_;           // guarded by mutex_
  listener tell_;                // guarded by mutex_
  std::function<void()> wake_;   // guarded by mutex_
  clock::time_point fresh_at_{}; // guarded by mutex_
  role_report told_;             // guarded by mutex_
  clock::time_point told_at_{};  // guarded by mutex_
};

} // namespace fly::repo
