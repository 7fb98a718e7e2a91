#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <caf/error.hpp>
#include <caf/expected.hpp>
#include <caf/fwd.hpp>

#include "fly/actors/blocking_guard.hpp"
#include "fly/actors/gate.hpp"

namespace fly::actors {

/// Takes the outcome of an asynchronous operation, exactly once, on whatever thread finishes it.
template <class T>
using completion = std::function<void(caf::expected<T>)>;

/// Ends a started operation at its deadline: before it returns, or at the same moment on another
/// thread, the completion gets the error that says what is known. Does nothing where the operation
/// is already complete.
using expire = std::function<void()>;

/// Starts an operation, at once and without blocking.
template <class T>
using starter = std::function<expire(completion<T>)>;

/// How long after its end an operation's outcome may be on its way.
inline constexpr std::chrono::seconds held_max{1};

/// Returns what is known of an outcome that nobody passes on: errc::timeout.
caf::error kept_back();

/// The slot between the thread that finishes an operation and the one that asked. Safe from any
/// thread.
template <class T>
class answer_slot {
public:
  /// Fills the slot and returns true; false where it was full already, and then nothing changes.
  bool fill(caf::expected<T> value) {
    if (claimed_.exchange(true))
      return false;
    value_.emplace(std::move(value));
    full_.open();
    return true;
  }

  /// Waits until the slot is full or `deadline` is reached. Returns whether it is full.
  bool wait_until(std::chrono::steady_clock::time_point deadline) noexcept {
    return full_.wait_until(deadline);
  }

  /// Waits until the slot is full and takes the value out; call once.
  caf::expected<T> take() {
    full_.wait();
    return std::move(*value_);
  }

  /// The same once the operation has been ended. Who has its outcome then is about to pass it on;
  /// where that does not come, it is kept back by somebody's mistake: errc::timeout.
  caf::expected<T> take_ended() {
    if (!wait_until(std::chrono::steady_clock::now() + held_max))
      fill(kept_back());
    return take();
  }

private:
  std::atomic<bool> claimed_{false};
  std::optional<caf::expected<T>> value_; // written by who has claimed it, read once it is full
  gate full_;
};

/// Starts an operation (a `starter<T>`, or what can be called like one) and blocks the calling
/// thread until it is complete or `deadline` is reached. `help` may bring the operation on in this
/// thread, for a short time, before that sleeps. Blocks: never call from an actor that shares
/// threads; there it returns errc::blocking_refused, nothing ran.
template <class T, class Start, class Help>
caf::expected<T> ask(std::chrono::steady_clock::time_point deadline, Start&& start, Help&& help) {
  if (auto refused = check_may_block())
    return refused;
  auto slot = std::make_shared<answer_slot<T>>();
  auto end = [&] {
    about_to_block scope;
    return start([slot](caf::expected<T> value) { slot->fill(std::move(value)); });
  }();
  help();
  if (slot->wait_until(deadline))
    return slot->take();
  end();
  return slot->take_ended();
}

template <class T, class Start>
caf::expected<T> ask(std::chrono::steady_clock::time_point deadline, Start&& start) {
  return ask<T>(deadline, std::forward<Start>(start), [] {});
}

namespace detail {

/// Ends an operation with its own life, unless it is over before.
class ending {
public:
  ending() = default;
  explicit ending(expire end) noexcept : end_(std::move(end)) {}
  ending(ending&& other) noexcept : end_(std::exchange(other.end_, nullptr)) {}
  ending& operator=(ending&& other) noexcept {
    std::swap(end_, other.end_);
    return *this;
  }
  ~ending() { now(); }

  /// Ends the operation, the first time.
  void now() {
    if (auto end = std::exchange(end_, nullptr))
      end();
  }

  /// Says that there is nothing to end any more.
  void over() noexcept { end_ = nullptr; }

private:
  expire end_;
};

/// Waits inside an actor for `wake()` or `timeout`; the one place that knows how CAF carries a
/// response.
class response_wait {
public:
  /// Reserves a response of `self`. Only inside the actor.
  response_wait(caf::scheduled_actor* self, std::chrono::nanoseconds timeout);

  /// Returns what completes the wait from any thread; it does not keep the actor alive.
  std::function<void()> waker() const;

  /// Runs `on_wake` inside the actor once woken, or `on_timeout`. Only inside the actor, once.
  void then(std::function<void()> on_wake, std::function<void()> on_timeout) const;

private:
  caf::scheduled_actor* self_;
  std::uint64_t response_;
};

} // namespace detail

/// An operation that an actor has started and whose answer it awaits: call `.then` in the same
/// handler. The actor does not block; its other messages are handled meanwhile. Where the actor
/// ends first, or this is destroyed without `.then`, the operation is ended as at its deadline, and
/// nobody hears of it. Only inside the actor.
template <class T>
class [[nodiscard]] pending {
public:
  /// Starts the operation in the name of `self`.
  pending(caf::scheduled_actor* self, std::chrono::steady_clock::time_point deadline,
          const starter<T>& start)
      : wait_(self, deadline - std::chrono::steady_clock::now()),
        slot_(std::make_shared<answer_slot<T>>()) {
    end_ = detail::ending{start([slot = slot_, wake = wait_.waker()](caf::expected<T> value) {
      if (slot->fill(std::move(value)))
        wake();
    })};
  }

  pending(pending&&) noexcept = default;
  pending& operator=(pending&&) noexcept = default;
  pending(const pending&) = delete;
  pending& operator=(const pending&) = delete;

  /// Runs `on_value(T&)` or `on_error(caf::error&)` inside the actor, exactly one of them, at the
  /// deadline at the latest. Where T is caf::unit_t, `on_value` may take nothing.
  template <class OnValue, class OnError>
  void then(OnValue on_value, OnError on_error) && {
    struct awaited {
      std::shared_ptr<answer_slot<T>> slot;
      OnValue on_value;
      OnError on_error;
      detail::ending end; // the actor's own end destroys the handlers, and so this

      void deliver() {
        end.over();
        auto value = slot->take_ended(); // mostly it is there
        if (!value) {
          caf::error reason = value.error(); // const where T is caf::unit_t
          on_error(reason);
        } else if constexpr (std::is_invocable_v<OnValue&>)
          on_value();
        else if constexpr (std::is_same_v<T, caf::unit_t>) {
          caf::unit_t nothing; // an expected one has no value to refer to
          on_value(nothing);
        } else
          on_value(*value);
      }
    };
    auto what = std::make_shared<awaited>(
        awaited{std::move(slot_), std::move(on_value), std::move(on_error), std::move(end_)});
    wait_.then([what] { what->deliver(); },
               [what] {
                 what->end.now();
                 what->deliver();
               });
  }

private:
  detail::response_wait wait_;
  std::shared_ptr<answer_slot<T>> slot_;
  detail::ending end_;
};

} // namespace fly::actors
