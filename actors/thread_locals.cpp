#include "fly/actors/thread_locals.hpp"

#include <caf/logger.hpp>

namespace fly::actors {

namespace {

thread_local bool ended = false; // has no destructor: it can be read to the very end of the thread

struct watch {
  watch() noexcept {}
  ~watch() { ended = true; }
};

} // namespace

void watch_thread_locals() {
  thread_local watch it;
  static_cast<void>(it);
}

bool thread_locals_alive() noexcept {
  return !ended;
}

borrowed_logger::borrowed_logger() noexcept : is_new_(caf::logger::current_logger() == nullptr) {}

borrowed_logger::~borrowed_logger() {
  if (is_new_)
    caf::logger::set_current_actor_system(nullptr);
}

} // namespace fly::actors
