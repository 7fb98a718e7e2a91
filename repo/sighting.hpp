#pragma once

#include <chrono>

#include "fly/repo/server_identity.hpp"
#include "fly/repo/waiters.hpp"

namespace fly::repo {

/// How far a server was seen to be, by any of the connections to it. A value.
struct sighting {
  using time_point = std::chrono::steady_clock::time_point;

  server_identity server{};
  progress seen{};
  /// When the question left that was answered so.
  time_point asked{};

  /// Returns whether all this is so for a connection to `other` that was `opened` then, and is up
  /// still. A server does not go back while one connection to it lasts: a replica that has crashed
  /// and replays again may, with the same start of its postmaster, but has ended all sessions.
  bool holds_for(const server_identity& other, time_point opened) const noexcept {
    return same_server(server, other) && opened <= asked;
  }

  /// Takes what another connection to `other`, which asked at `when`, has seen. Does nothing where
  /// that is another server, or one that was promoted in between, or it was further before.
  void add(const server_identity& other, const progress& theirs, time_point when);
};

} // namespace fly::repo
