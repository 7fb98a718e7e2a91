#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include <caf/expected.hpp>

#include "fly/repo/position.hpp"
#include "fly/repo/waiters.hpp"

namespace fly::rpc {
class endpoint;
}

namespace fly::repo {

/// Asks the primary how far it is, and remembers what it said. Safe from any thread.
class primary_watch {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// `name` is that of the function to be asked; `rpc` outlives it.
  primary_watch(const rpc::endpoint& rpc, std::string name);

  /// Asks now, and blocks for the answer: whoever has that position lacks nothing of what the
  /// primary had when this was called. Errors: errc::no_primary, errc::timeout and those of
  /// `rpc::endpoint::start`.
  caf::expected<position> ask(time_point deadline);

  /// The same of what the primary had `lag` before `begun`; asks where that is not known, and in
  /// the background before it is too old.
  caf::expected<position> enough_for(std::chrono::milliseconds lag, time_point begun,
                                     time_point deadline);

  /// See `lag_board::lag_of`.
  std::optional<std::chrono::microseconds> lag_of(const progress& server) const;

private:
  struct log;
  void refresh(std::chrono::milliseconds lag, time_point now);

  const rpc::endpoint& rpc_;
  const std::string name_;
  std::shared_ptr<log> log_; // shared with questions that are under way
};

} // namespace fly::repo
