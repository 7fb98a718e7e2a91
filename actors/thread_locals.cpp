#include "fly/actors/thread_locals.hpp"

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

} // namespace fly::actors
