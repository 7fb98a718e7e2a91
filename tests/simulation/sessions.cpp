#include "tests/simulation/sessions.hpp"

#include <cassert>

#include "fly/actors/error.hpp"
#include "tests/simulation/world.hpp"

namespace fly::simulation {

using namespace std::chrono_literals;

namespace {

void half_way() {
  pass(world::present().random.time(50us, 400us));
}

caf::error unavailable(const char* why) {
  return make_error(errc::database_unavailable, why);
}

} // namespace

caf::expected<session> session::open(time_point deadline) {
  assert(fiber::running() != nullptr);
  auto& server = world::present().databases->of(fiber::running()->owner().region);
  session result{server};
  half_way();
  if (auto reason = result.wait_for_server(deadline))
    return reason;
  half_way();
  result.life_ = server.host().life;
  return result;
}

/// A server that is frozen answers later, one that is down refuses.
caf::error session::wait_for_server(time_point deadline) const {
  while (server_->is_up() && server_->host().frozen) {
    if (std::chrono::steady_clock::now() >= deadline)
      return unavailable("no answer in time");
    pass(10ms);
  }
  return server_->is_up() ? caf::error{} : unavailable("connection refused");
}

caf::error session::round_trip(time_point deadline, const std::function<void()>& at_server) {
  half_way();
  auto reason = wait_for_server(deadline);
  if (!reason && !is_open())
    reason = unavailable("the server closed the connection");
  if (!reason)
    at_server();
  half_way();
  if (!reason)
    reason = wait_for_server(deadline); // frozen while the answer left
  if (!reason && !is_open())
    reason = unavailable("the server closed the connection");
  open_ = !reason;
  return reason;
}

} // namespace fly::simulation
