#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <optional>

namespace fly::repo {

/// Lets writes in, or holds them back for a while. A hold ends by itself, so that whoever asked for
/// it may die. Safe from any thread.
class write_gate {
public:
  using clock = std::chrono::steady_clock;

  /// One write that was let in, until its end.
  class pass {
  public:
    explicit pass(write_gate& gate) noexcept : gate_(&gate) {}
    pass(pass&& other) noexcept : gate_(other.gate_) { other.gate_ = nullptr; }
    pass& operator=(pass&&) = delete;
    ~pass();

  private:
    write_gate* gate_;
  };

  /// Lets a write in; nothing while writes are held. The gate outlives the pass.
  std::optional<pass> enter();

  /// Lets no write in until `until`, in the place of a hold before; one in the past ends it.
  void hold(clock::time_point until);

  /// Lets no write in until `until` at least.
  void hold_at_least(clock::time_point until);

  /// Returns whether writes are held now.
  bool held() const;

  /// Waits until no write runs, until `deadline` at most. Returns whether none does.
  bool wait_empty(clock::time_point deadline);

private:
  mutable std::mutex mutex_;
  std::condition_variable left_;
  std::size_t running_ = 0;        // guarded by mutex_
  clock::time_point held_until_{}; // guarded by mutex_
};

} // namespace fly::repo
