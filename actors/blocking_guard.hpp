#pragma once

#include <caf/error.hpp>

namespace caf {
class actor_system_config;
}

namespace fly::actors {

/// Makes the threads of every actor system built from `config` known, so that a blocking call on a
/// thread that must not block is refused. `fly::cluster::prepare` calls it. Call once, before the
/// system is built.
void install_blocking_guard(caf::actor_system_config& config);

/// While it lives this thread does what a thread of CAF's would do otherwise, and must not block
/// either. Those nest.
class no_blocking {
public:
  no_blocking() noexcept;
  ~no_blocking();

  no_blocking(const no_blocking&) = delete;
  no_blocking& operator=(const no_blocking&) = delete;

private:
  bool before_;
};

/// Says that this thread is about to block until what it starts meanwhile has ended, while it
/// lives. Those nest.
class about_to_block {
public:
  about_to_block() noexcept;
  ~about_to_block();

  about_to_block(const about_to_block&) = delete;
  about_to_block& operator=(const about_to_block&) = delete;

private:
  bool before_;
};

/// Returns whether an `about_to_block` of this thread lives.
bool is_about_to_block() noexcept;

/// Returns an empty error where the current thread may block: plain threads, detached and blocking
/// actors. errc::blocking_refused on a thread of CAF's scheduler, clock or multiplexer, and while a
/// `no_blocking` lives. Safe from any thread.
caf::error check_may_block();

} // namespace fly::actors
