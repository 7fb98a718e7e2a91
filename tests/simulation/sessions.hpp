#pragma once

#include <cstdint>
#include <functional>

#include <caf/error.hpp>
#include <caf/expected.hpp>

#include "tests/simulation/postgres.hpp"
#include "tests/simulation/schedule.hpp"

namespace fly::simulation {

/// A session of the running machine on the server of its region. Only in a fiber.
class session {
public:
  using time_point = machine_clock::steady;

  /// Connects. Errors: errc::database_unavailable.
  static caf::expected<session> open(time_point deadline);

  /// Sends a query, which `at_server` answers there, and waits for the answer. Errors:
  /// errc::database_unavailable; whether it was answered nobody knows then.
  caf::error round_trip(time_point deadline, const std::function<void()>& at_server);

  postgres& server() const noexcept { return *server_; }

  /// Whether the server still has it.
  bool is_open() const noexcept { return open_ && server_->host().life == life_; }

private:
  explicit session(postgres& server) : server_(&server), life_(server.host().life) {}

  caf::error wait_for_server(time_point deadline) const;

  postgres* server_;
  std::uint64_t life_;
  bool open_ = true;
};

} // namespace fly::simulation
