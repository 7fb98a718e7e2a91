#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

#include <caf/actor.hpp>
#include <caf/fwd.hpp>

namespace fly::repo {

/// Who of several actors drives what outlives them: the one that sat down last. Safe from any
/// thread.
class driver_seat {
public:
  /// Sits down in the place of who sat there. Returns a number for `is` and `leave`, never 0.
  std::uint64_t take() noexcept { return current_ = ++last_; }

  /// Gets up; does nothing where another has sat down since.
  void leave(std::uint64_t me) noexcept { current_.compare_exchange_strong(me, 0); }

  /// Returns whether `me` still sits there.
  bool is(std::uint64_t me) const noexcept { return current_ == me; }

  /// Returns whether nobody does.
  bool vacant() const noexcept { return current_ == 0; }

private:
  std::atomic<std::uint64_t> last_{0};
  std::atomic<std::uint64_t> current_{0};
};

/// Behaves as an actor that starts another one with `start` whenever the seat is vacant: an
/// object's own driver, until a user's supervisor starts one, and again where that has ended. What
/// it started ends with it.
caf::behavior stand_by(caf::event_based_actor* self, std::shared_ptr<driver_seat> seat,
                       std::function<caf::actor(caf::event_based_actor* parent)> start);

} // namespace fly::repo
