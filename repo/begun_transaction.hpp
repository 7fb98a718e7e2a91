#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

#include <caf/error.hpp>

#include "fly/repo/connection_pool.hpp"
#include "fly/repo/transaction.hpp"
#include "fly/repo/transaction_runner.hpp"
#include "fly/rpc/current_call.hpp"

namespace fly::repo {

/// A connection on loan with what runs on it.
struct transaction_runner::begun {
  explicit begun(connection_pool::lease given) : lease(std::move(given)) {}

  /// A cancel may be late, and must not meet the statements of somebody else.
  ~begun() {
    watch.reset();
    if (cancelled)
      lease.spoil();
  }

  /// The time since the connection was there.
  std::chrono::microseconds took() const {
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() -
                                                                 at);
  }

  connection_pool::lease lease; // before the transaction on it
  std::chrono::steady_clock::time_point at = std::chrono::steady_clock::now();
  std::optional<transaction> tx;
  std::atomic<bool> cancelled{false}; // the caller of the current call gave up
  std::optional<rpc::cancel_watch> watch;
};

/// Of a write whose caller gave up before the commit: errc::expired.
caf::error nobody_waits();

/// Of a result that does not fit into an answer: errc::malformed_result. `fate` says what became of
/// the write.
caf::error too_large(std::size_t bytes, std::size_t bytes_max, std::string_view fate);

/// The same of a write that is committed, and whose answer cannot hold it.
caf::error too_large_answer(std::size_t bytes, std::size_t bytes_max);

} // namespace fly::repo
