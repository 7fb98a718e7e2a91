#pragma once

#include <chrono>
#include <optional>
#include <utility>

#include <caf/expected.hpp>

#include "fly/actors/pending.hpp"
#include "fly/rpc/ticket.hpp"

namespace fly::rpc {

struct call_context;

/// Returns the call whose handler runs on this thread; null outside of one. What is called in a
/// handler's own thread inherits from it: a deadline that is not later, its end when the call is
/// cancelled, its trace. Threads and actors that a handler starts have none.
const call_context* current_call() noexcept;

/// Makes `context` the current call of this thread while it lives; those nest.
class call_scope {
public:
  explicit call_scope(const call_context& context) noexcept;
  ~call_scope();

  call_scope(const call_scope&) = delete;
  call_scope& operator=(const call_scope&) = delete;

private:
  const call_context* before_;
};

/// Returns what this thread, or one that waits for it in the same process, holds while a function
/// runs; null for nothing. An identity to compare, never looked into.
const void* current_holding() noexcept;

/// Says that this thread holds one of `what`, of which there are so many only, while it lives:
/// whoever wants another one within may wait for itself. Those nest.
class holding_scope {
public:
  explicit holding_scope(const void* what) noexcept;
  ~holding_scope();

  holding_scope(const holding_scope&) = delete;
  holding_scope& operator=(const holding_scope&) = delete;

private:
  const void* before_;
};

/// Returns errc::invalid_argument naming `timeout` where it is none, 1 ms to a day: what comes out
/// of a subtraction, say. Nothing has begun then.
caf::error check_timeout(std::chrono::milliseconds timeout);

/// Returns when something that begins now and may take `timeout`, 1 ms to a day, ends at the
/// latest: no later than the current call.
std::chrono::steady_clock::time_point deadline_within(std::chrono::milliseconds timeout) noexcept;

/// As actors::ask, and ended early where the current call is cancelled.
template <class T, class Start, class Help>
caf::expected<T> ask_cancellable(std::chrono::steady_clock::time_point deadline, Start&& start,
                                 Help&& help) {
  const auto* outer = current_call();
  if (outer == nullptr)
    return actors::ask<T>(deadline, std::forward<Start>(start), std::forward<Help>(help));
  std::optional<cancel_watch> watch;
  return actors::ask<T>(
      deadline,
      [&](actors::completion<T> done) {
        auto end = start(std::move(done));
        watch.emplace(outer, end);
        return end;
      },
      std::forward<Help>(help));
}

template <class T, class Start>
caf::expected<T> ask_cancellable(std::chrono::steady_clock::time_point deadline, Start&& start) {
  return ask_cancellable<T>(deadline, std::forward<Start>(start), [] {});
}

} // namespace fly::rpc
