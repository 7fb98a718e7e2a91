#include "fly/actors/pending.hpp"

#include <cstdint>

#include <caf/actor_addr.hpp>
#include <caf/actor_cast.hpp>
#include <caf/actor_clock.hpp>
#include <caf/atom.hpp>
#include <caf/behavior.hpp>
#include <caf/message.hpp>
#include <caf/message_id.hpp>
#include <caf/scheduled_actor.hpp>

#include "fly/actors/error.hpp"

namespace fly::actors {

caf::error kept_back() {
  return make_error(errc::timeout, "the time is over, and whoever has the outcome keeps it back");
}

} // namespace fly::actors

namespace fly::actors::detail {

response_wait::response_wait(caf::scheduled_actor* self, std::chrono::nanoseconds timeout)
    : self_(self) {
  auto request = self->new_request_id(caf::message_priority::normal);
  response_ = request.response_id().integer_value();
  // A timeout of zero would never fire.
  auto bounded = std::max(timeout, std::chrono::nanoseconds{1'000'000});
  self->request_response_timeout(
      caf::duration{std::chrono::duration_cast<std::chrono::microseconds>(bounded)}, request);
}

std::function<void()> response_wait::waker() const {
  return [whom = self_->address(), response = response_] {
    if (auto actor = caf::actor_cast<caf::strong_actor_ptr>(whom))
      actor->enqueue(nullptr, caf::make_message_id(response),
                     caf::make_message(caf::ok_atom::value), nullptr);
  };
}

/// CAF 0.17 keeps the timeout of a response that has come until it is due: 190 bytes of each call,
/// and a message in vain.
void response_wait::then(std::function<void()> on_wake, std::function<void()> on_timeout) const {
  caf::behavior handler{
      [on_wake = std::move(on_wake), self = self_, response = response_](caf::ok_atom) {
        self->clock().cancel_request_timeout(self, caf::make_message_id(response));
        on_wake();
      },
      [on_timeout = std::move(on_timeout)](const caf::error&) { on_timeout(); },
  };
  self_->add_multiplexed_response_handler(caf::make_message_id(response_), std::move(handler));
}

} // namespace fly::actors::detail
