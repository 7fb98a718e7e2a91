#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "fly/actors/pending.hpp"
#include "fly/repo/committed.hpp"
#include "fly/repo/lsn_tracker.hpp"
#include "fly/rpc/call.hpp"
#include "fly/rpc/call_trace.hpp"
#include "fly/rpc/function.hpp"
#include "fly/rpc/signature.hpp"

namespace fly::rpc {
class answer_reader;
class endpoint;
} // namespace fly::rpc

namespace fly::repo {

/// A write that is committed, its result still encoded.
struct raw_committed {
  rpc::bytes value;
  commit_report report;
};

/// One write as its caller sees it: a call to the primary and then, within the same deadline, the
/// wait until the local database has it.
struct write_call {
  const rpc::endpoint* rpc = nullptr;
  /// Waits for the position; null where nobody waits.
  std::shared_ptr<lsn_tracker> tracker;
  std::chrono::steady_clock::time_point deadline;
  /// Whether what is committed anywhere is visible here at once: in a sandbox.
  bool shared = false;
  /// The key that the arguments begin with: it may be tried again. Empty for none.
  std::string key{};
  /// Who is asked: somebody else than the primary says errc::not_primary.
  rpc::target whom = rpc::target::primary();
  /// Learns of the call's way, see `rpc::endpoint::start`; null where nobody wants to know.
  std::shared_ptr<rpc::call_trace> trace{};
  /// The thread that waits for the write and does nothing else, for the first attempt; null for
  /// none. Not used once `start_write` has returned.
  rpc::answer_reader* own = nullptr;
};

/// Starts a write; `done` is called exactly once, on any thread, also before this returns. What is
/// returned ends it early: a call that is under way with what is known of it, a wait with a commit
/// that is not visible. One with a key is tried again where it may have been committed or not.
/// Errors, to `done`: those of `rpc::endpoint::start`, and what the write
/// left.
actors::expire start_write(const write_call& how, std::string_view name,
                           const rpc::signature& wanted, rpc::bytes arguments,
                           actors::completion<raw_committed> done);

} // namespace fly::repo
