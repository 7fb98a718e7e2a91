#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <caf/actor.hpp>
#include <caf/error.hpp>
#include <caf/fwd.hpp>

#include "fly/actors/child_spec.hpp"
#include "fly/actors/restart_plan.hpp"

namespace fly::actors {

/// What a supervisor knows of one child.
struct child_info {
  std::string id;
  /// Invalid while the child is down.
  caf::actor handle;
  fly::actors::restart restart = fly::actors::restart::permanent;
  /// How often it was started again.
  std::size_t restarts = 0;
};

/// How many children a supervisor has.
struct child_counts {
  std::size_t specs = 0;  ///< Known, running or not.
  std::size_t active = 0; ///< Running.
};

/// Starts children in order, restarts them as their strategy says, and stops them in reverse order:
/// OTP's supervisor on CAF actors. Unlike OTP's, a child that fails in its first start is tried
/// again like one that crashed, within the same limit. Owns its children: the destructor stops them
/// and waits. Safe from any thread but those of its children.
class supervisor {
public:
  /// Starts the children, in order and soon, but not before returning: `wait_started` waits for it.
  supervisor(caf::actor_system& system, supervisor_options options,
             std::vector<child_spec> children);

  /// Stops as `stop` does. Blocks.
  ~supervisor();

  supervisor(const supervisor&) = delete;
  supervisor& operator=(const supervisor&) = delete;

  /// Stops the children, last started first, each within its shutdown time, then the supervisor.
  /// Blocks; idempotent.
  void stop();

  /// Waits until every child runs. Returns false after `timeout`, or where the supervisor has
  /// ended, or one of the children that it was made with cannot be one (`reason`). Blocks.
  bool wait_started(std::chrono::milliseconds timeout) const;

  /// Adds a child behind the others and starts it. Errors: errc::invalid_argument where the id is
  /// taken or the specification has no id or start; errc::shutting_down where the supervisor ends.
  caf::error start_child(child_spec spec);

  /// Stops a child and waits for its end; it keeps its place (a temporary one is forgotten).
  /// Blocks. Errors: errc::invalid_argument for an unknown id.
  caf::error terminate_child(std::string_view id);

  /// Starts a child that is down. Errors: errc::invalid_argument for an id that is unknown or
  /// running; errc::shutting_down where the supervisor ends.
  caf::error restart_child(std::string_view id);

  /// Forgets a child that is down. Errors: errc::invalid_argument for an id that is unknown or
  /// running.
  caf::error delete_child(std::string_view id);

  /// Returns the children in the order of their start.
  std::vector<child_info> which_children() const;

  /// Returns how many children there are.
  child_counts count_children() const;

  /// Returns whether the supervisor still runs; false after `stop` and after it gave up.
  bool running() const;

  /// Returns why it ended: errc::restarts_exceeded where it gave up. While it runs empty, or
  /// errc::invalid_argument: a child that it was made with was left out, because its id is taken or
  /// it has no id or start.
  caf::error reason() const;

  /// Returns the supervisor's own actor, to be monitored.
  const caf::actor& handle() const noexcept { return handle_; }

  struct core; // shared with the actor; outlives both

private:
  std::shared_ptr<core> core_;
  caf::actor handle_;
};

/// Returns a supervisor as a child of another one: it is stopped with all below it, and its giving
/// up counts as the abnormal end of a permanent child.
child_spec nested_supervisor(std::string id, supervisor_options options,
                             std::vector<child_spec> children);

} // namespace fly::actors
