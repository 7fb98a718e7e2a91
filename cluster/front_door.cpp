#include "fly/cluster/front_door.hpp"

#include <system_error>
#include <utility>

#include <caf/actor_system.hpp>
#include <caf/io/broker.hpp>
#include <caf/io/doorman.hpp>
#include <caf/io/middleman.hpp>

namespace fly::cluster {

namespace {

using namespace std::chrono_literals;

constexpr auto quiet = 60s;

front_door::time_point now() {
  return std::chrono::steady_clock::now();
}

} // namespace

void front_door::open(socket_owner listening, std::shared_ptr<const bytes_reader> reader) {
  auto doorman = make_doorman(self_->system().middleman().backend(), listening.release(),
                              std::move(reader), [weak = weak_from_this()](int problem) {
                                if (auto self = weak.lock())
                                  self->on_refused(problem);
                              });
  doorman_ = doorman->hdl();
  state_ = state::open;
  self_->add_doorman(std::move(doorman));
}

/// A second one before the loop has heard of the first changes nothing.
void front_door::on_refused(int problem) {
  if (closing_)
    return;
  opens_at_ = now() + rest;
  self_->halt(doorman_);
  if (state_ != state::pausing)
    then(state::paused);
  state_ = state::pausing;
  if (now() < quiet_until_)
    return;
  quiet_until_ = now() + quiet;
  log_(log_level::warning,
       "nobody new is let in at the moment: " + std::generic_category().message(problem));
}

/// Becomes `next` in the next turn of the I/O loop, unless something else happens meanwhile.
void front_door::then(state next) {
  auto meanwhile = next == state::paused ? state::pausing : state::resuming;
  self_->parent().run_later([weak = weak_from_this(), meanwhile, next] {
    if (auto self = weak.lock(); self && self->state_ == meanwhile)
      self->state_ = next;
  });
}

void front_door::resume() {
  state_ = state::resuming;
  self_->trigger(doorman_);
  then(state::open);
}

void front_door::on_tick(time_point at) {
  if (state_ == state::paused && at >= opens_at_)
    resume();
}

/// What is paused hears of no end (CAF 0.17.6).
bool front_door::close() {
  closing_ = true;
  if (state_ == state::paused)
    resume();
  if (state_ == state::open)
    self_->close(doorman_);
  else if (state_ != state::closed)
    return false;
  state_ = state::closed;
  return true;
}

} // namespace fly::cluster
