#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include <caf/error.hpp>

#include "fly/rpc/server.hpp"
#include "fly/rpc/ticket.hpp"

namespace fly::rpc {

/// A call on its way through the queue.
struct server::job {
  job(server& owner, request&& from)
      : wanted(std::move(from)), permit([this, &owner] { owner.drop(*this); }) {
    wanted.context.permit = &permit;
  }

  std::span<const char> arguments() const noexcept { return given ? *given : copied; }

  request wanted;
  function_ptr function;              // null where there is none; set before others see the permit
  std::shared_ptr<const bytes> given; // of this process
  bytes copied;                       // of another one
  ticket permit;
  std::optional<cancel_watch> watch; // of one that is answered later
};

/// Of a call whose deadline passed before its function was started: errc::expired.
caf::error too_late(const std::string& name);

} // namespace fly::rpc
