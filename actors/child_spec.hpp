#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include <caf/actor.hpp>
#include <caf/fwd.hpp>

namespace fly::actors {

/// When a child that has ended is started again (OTP's words).
enum class restart : std::uint8_t {
  permanent, ///< Always.
  transient, ///< Only after an abnormal end: any reason but `normal` and the shutdown reasons.
  temporary, ///< Never; its specification is forgotten once it has ended.
};

/// Describes one child of a supervisor: how it is started, when again, and how it is stopped.
struct child_spec {
  /// Its name, unique among its siblings.
  std::string id;
  /// Spawns the child: `parent->spawn(...)`. Runs inside the supervisor and must not block. A start
  /// that throws or returns an invalid handle counts as an abnormal end.
  std::function<caf::actor(caf::event_based_actor* parent)> start;
  fly::actors::restart restart = fly::actors::restart::permanent;
  /// How long the child may take to end once it was asked to, before it is killed; 0 kills at once.
  std::chrono::milliseconds shutdown{5000};
};

} // namespace fly::actors
