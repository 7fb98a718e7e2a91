#include "fly/actors/blocking_guard.hpp"

#include <array>
#include <string_view>
#include <utility>

#include <sys/prctl.h>

#include <caf/actor_system_config.hpp>
#include <caf/thread_hook.hpp>

#include "fly/actors/error.hpp"

namespace fly::actors {

namespace {

thread_local bool must_not_block = false;
thread_local bool blocks_soon = false;
thread_local bool for_others = false; // others wait for what this thread does at the moment

/// CAF 0.17.6 names a thread before it calls the hooks: "caf.actor" for detached and blocking
/// actors, "caf.multiplexer" for the I/O thread and (sic) each worker of the scheduler,
/// "caf.clock", "caf.logger".
class blocking_guard : public caf::thread_hook {
public:
  void init(caf::actor_system&) override {}

  void thread_started() override {
    std::array<char, 16> name{}; // PR_GET_NAME writes at most 16 bytes, with the final zero
    prctl(PR_GET_NAME, name.data(), 0, 0, 0);
    must_not_block = std::string_view{name.data()} != "caf.actor";
  }

  void thread_terminates() override { must_not_block = false; }
};

} // namespace

void install_blocking_guard(caf::actor_system_config& config) {
  config.add_thread_hook<blocking_guard>();
}

no_blocking::no_blocking() noexcept : before_(std::exchange(for_others, true)) {}

no_blocking::~no_blocking() {
  for_others = before_;
}

about_to_block::about_to_block() noexcept : before_(std::exchange(blocks_soon, true)) {}

about_to_block::~about_to_block() {
  blocks_soon = before_;
}

bool is_about_to_block() noexcept {
  return blocks_soon;
}

caf::error check_may_block() {
  if (for_others)
    return make_error(errc::blocking_refused,
                      "a blocking call while the outcome of another one is dealt with would stall "
                      "all that comes from its member: make it in another thread");
  if (!must_not_block)
    return {};
  return make_error(errc::blocking_refused,
                    "a blocking call on a thread of CAF's scheduler would stall other actors: "
                    "pass `self` and use .then, or spawn the actor as caf::detached");
}

} // namespace fly::actors
