#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include <caf/error.hpp>

#include "fly/rpc/call.hpp"

namespace fly::rpc {

/// What is told of a call that has just ended. Everything is valid during the telling only.
struct call_report {
  enum class side : std::uint8_t {
    caller, ///< It was made here: the whole time, from start to outcome.
    server, ///< It was asked for here: from the arrival to the answer, queue included.
  };

  enum side side = side::caller;
  std::string_view name;
  /// Who was asked; null on the server's side.
  const target* whom = nullptr;
  /// Where the caller is; empty on the caller's side.
  std::string_view caller_region;
  /// Empty where it has a result.
  const caf::error& reason;
  std::chrono::steady_clock::duration took{0};
};

/// Hears of calls that end, on any thread, several at once, outside of locks. Must not block or
/// make a call; what it throws is dropped.
using call_observer = std::function<void(const call_report&)>;

/// Holds who hears of calls, or nobody: then a call costs one look at a flag. Safe from any thread.
class observer_slot {
public:
  /// Replaces the observer; an empty one hears nothing. Calls that are under way keep the one that
  /// they began with.
  void set(call_observer now);

  /// Returns whether somebody hears.
  bool is_set() const noexcept { return set_.load(std::memory_order_acquire); }

  /// Returns `reply`, or one that tells the observer before it: of a call made here.
  raw_reply of_caller(const target& whom, std::string_view name, raw_reply reply) const {
    return set_.load(std::memory_order_acquire) ? tell_caller(whom, name, std::move(reply))
                                                : std::move(reply);
  }

  /// The same of a call that was asked for here. A call that is dropped unanswered is not told.
  raw_reply of_server(const std::string& caller_region, std::string_view name,
                      raw_reply reply) const {
    return set_.load(std::memory_order_acquire) ? tell_server(caller_region, name, std::move(reply))
                                                : std::move(reply);
  }

private:
  std::shared_ptr<const call_observer> observer() const;
  raw_reply tell_caller(const target& whom, std::string_view name, raw_reply reply) const;
  raw_reply tell_server(const std::string& caller_region, std::string_view name,
                        raw_reply reply) const;

  std::atomic<bool> set_{false};
  mutable std::mutex mutex_;
  std::shared_ptr<const call_observer> observer_; // guarded by mutex_
};

} // namespace fly::rpc
