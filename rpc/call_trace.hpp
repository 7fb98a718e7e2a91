#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "fly/rpc/call_parts.hpp"

namespace fly::rpc {

/// What the caller's side learns of the way of one call. Written until the call's reply is called,
/// and not after; the reply is the first who may read it.
struct call_trace {
  using time_point = std::chrono::steady_clock::time_point;

  /// The member that it was handed to last; empty where there was none.
  std::string member;
  /// When that was; nothing where it waits for a member (again).
  std::optional<time_point> handed_at;
  /// When the answer came, a result or an error; nothing where none did.
  std::optional<time_point> answered_at;
  /// What the member said of its side; empty where it ran an older version, or said that nothing
  /// ran.
  call_parts parts;
};

} // namespace fly::rpc
