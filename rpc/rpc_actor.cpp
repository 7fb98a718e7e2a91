// The part of endpoint_core.hpp that drives it: the actor, and when it is wanted.
#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include <caf/actor.hpp>
#include <caf/actor_cast.hpp>
#include <caf/behavior.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

#include "fly/cluster/node.hpp"
#include "fly/rpc/endpoint_core.hpp"

namespace fly::rpc {

namespace {

// A timer costs an idle node more than all else. A second without a call is idle.
constexpr std::chrono::seconds busy_for{1};
constexpr std::chrono::milliseconds rest_interval{500};

// How long a driver is gone at most before a standby is in its place.
constexpr std::chrono::milliseconds look_interval{100};

/// Calls a function at the end of a scope.
template <class F>
struct at_end {
  F f;
  ~at_end() { f(); }
};

template <class F>
at_end(F) -> at_end<F>;

struct driver {
  caf::event_based_actor* self;
  std::shared_ptr<endpoint_core> core;
  std::uint64_t turn = 0;  // as the core counts drivers
  std::uint64_t round = 0; // an earlier round's tick counts no more

  void take_over() {
    turn = core->attach(self->address());
    self->attach_functor([core = core, turn = turn] { core->detach(turn); });
  }

  void go_on() {
    auto pause = look_interval;
    if (core->turn() == 0)
      take_over(); // the one that drove has ended
    if (core->turn() == turn)
      pause = core->drive();
    self->delayed_send(self, pause, caf::tick_atom::value, ++round);
  }
};

} // namespace

std::uint64_t endpoint_core::attach(const caf::actor_addr& driver) {
  std::lock_guard guard{driver_mutex_};
  driver_ = driver;
  rests_ = false; // it drives as soon as it can
  return turn_ = ++last_turn_;
}

void endpoint_core::detach(std::uint64_t turn) {
  std::lock_guard guard{driver_mutex_};
  if (turn != turn_)
    return;
  driver_ = {};
  turn_ = 0;
}

std::uint64_t endpoint_core::turn() const {
  std::lock_guard guard{driver_mutex_};
  return turn_;
}

bool endpoint_core::is_busy() const {
  return client_->calls() != 0 || server_.serving() != 0 || server_.later() != 0 ||
         server_.late_bytes() != 0 || exports_->has_late();
}

std::chrono::milliseconds endpoint_core::next_drive(std::chrono::steady_clock::time_point now) {
  if (is_busy()) {
    rest_from_ = now + busy_for;
    return options_.tick;
  }
  if (now < rest_from_.load())
    return options_.tick;
  rests_ = true;
  if (!is_busy()) // what begins from now on sees that it has to call
    return std::max(options_.tick, rest_interval);
  rests_ = false;
  return options_.tick;
}

/// Calls the driver where it rests: something has begun.
void endpoint_core::stir() {
  if (!rests_.load() || !rests_.exchange(false))
    return;
  rest_from_ = std::chrono::steady_clock::now() + busy_for;
  if (auto who = driver())
    caf::anon_send(who, caf::ok_atom::value);
}

std::chrono::milliseconds endpoint_core::drive() {
  {
    std::lock_guard guard{driver_mutex_};
    if (closed_)
      return rest_interval;
    ++driving_;
  }
  at_end over{[this] { // also where a reply throws
    {
      std::lock_guard guard{driver_mutex_};
      --driving_;
    }
    idle_.notify_all();
  }};
  auto now = std::chrono::steady_clock::now();
  client_->drive(now);
  server_.flush(now);
  exports_->flush();
  auto load = static_cast<std::uint32_t>(server_.serving());
  if (load_.exchange(load) != load)
    node_.announce_load(load);
  return next_drive(now);
}

caf::actor endpoint_core::driver() const {
  std::lock_guard guard{driver_mutex_};
  return caf::actor_cast<caf::actor>(driver_);
}

caf::behavior rpc_actor(caf::event_based_actor* self, std::shared_ptr<endpoint_core> core,
                        bool standby) {
  auto it = std::make_shared<driver>(driver{self, std::move(core)});
  if (!standby || it->core->turn() == 0)
    it->take_over();
  self->send(self, caf::ok_atom::value);
  return {
      [it](caf::tick_atom, std::uint64_t round) {
        if (round == it->round)
          it->go_on();
      },
      [it](caf::ok_atom) { it->go_on(); },
  };
}

} // namespace fly::rpc
