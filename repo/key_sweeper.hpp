#pragma once

#include <chrono>

#include "fly/repo/pq_link.hpp"

namespace fly::repo {

/// Deletes what is too old in the ledger, in batches, so that no lock is held for long. Not safe to
/// share between threads.
class key_sweeper {
public:
  explicit key_sweeper(std::chrono::seconds lifetime) : lifetime_(lifetime) {}

  /// Deletes what is due, if it was not looked for lately: for half a second at most, and then the
  /// rest at the next call. Blocks for `answer_time` at most where the server does not answer.
  void sweep(pq_link& link, std::chrono::milliseconds answer_time);

private:
  std::chrono::seconds lifetime_;
  std::chrono::steady_clock::time_point due_{};
};

} // namespace fly::repo
