#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <caf/expected.hpp>

#include "fly/actors/pending.hpp"
#include "fly/cluster/member.hpp"
#include "fly/rpc/call_parts.hpp"
#include "fly/rpc/function.hpp"

namespace fly::cluster {
struct tls_names;
}

namespace fly::rpc {

class ticket;

/// What a caller may say of one call.
struct call_options {
  /// Longest time in all: finding a member, waiting for it, queueing and running there, 1 ms to a
  /// day.
  std::chrono::milliseconds timeout{5000};
  /// Whether the function may run twice: then it is asked for again, of another member where there
  /// is one, when a member is lost, or does not answer, or all are full, while time is left and
  /// the budget of retries allows it (retry_budget.hpp).
  bool idempotent = false;
  /// How long one member is waited for where `idempotent`, before another one is asked; 0: a third
  /// of the time.
  std::chrono::milliseconds attempt_max{0};
  /// A W3C traceparent that goes along, "00-<32 hex>-<16 hex>-01"; empty: within a handler that of
  /// the call that runs, else none. What is not one is not sent.
  std::string trace{};
};

/// How a call differs from a plain one, for those who start calls of bytes. See `call_options`.
struct call_traits {
  bool idempotent = false;
  std::chrono::milliseconds attempt_max{0};
  /// Nobody waits for an answer: the call is over once a member has it.
  bool cast = false;
  /// No member is asked earlier, but where the cluster changes.
  std::chrono::steady_clock::time_point not_before{};
  std::string trace{};
  /// What the calling thread holds meanwhile (`holding_scope`); for runs of the own process.
  const void* held = nullptr;
};

/// Whom a function is served for: a caller that fits in every field that is not empty. A value.
struct caller_rule {
  /// The caller's region and machine id, as it names them. Without TLS, or with certificates that
  /// are bound to neither, whoever has the cluster's secret can name others.
  std::string region{};
  std::string machine{};
  /// A DNS name that the caller's certificate has, whatever the case; the link is encrypted.
  std::string certificate{};
};

/// What a member says of a function when it serves it.
struct serve_options {
  /// Runs the handler on the I/O thread, without a hop: it must not block, nor take more than some
  /// microseconds. Calls from the own process still run on the worker pool.
  bool on_io_thread = false;
  /// Calls of it that run at a time; 0: as many as there are workers. Not for the I/O thread.
  std::size_t running_max = 0;
  /// Calls of it that wait while `running_max` run; one more is refused at once: errc::overloaded
  /// with a hint (admission.hpp). Without `running_max` it means nothing.
  std::size_t queue_max = 1024;
  /// Whom it is served for: one rule is enough; empty for everybody. Calls of the own process run
  /// always. Others are refused with errc::not_allowed.
  std::vector<caller_rule> allow{};
};

/// Who is asked.
struct target {
  enum class kind : std::uint8_t {
    region,  ///< Any member of the region `name`; this node where it is its own.
    primary, ///< Any member of the primary group; this node where it is one of it.
    member,  ///< The member with the id `name`.
  };

  enum kind kind = kind::region;
  std::string name;

  static target region(std::string name) { return {kind::region, std::move(name)}; }
  static target primary() { return {kind::primary, {}}; }
  static target member(std::string id) { return {kind::member, std::move(id)}; }

  friend bool operator==(const target&, const target&) = default;
};

/// What the serving side knows of one call. Valid while the handler runs.
struct call_context {
  /// When the caller gives up at the latest; by this process's clock.
  std::chrono::steady_clock::time_point deadline;
  /// Who called; this node itself for a local run.
  const cluster::member& caller;
  /// Takes parts of the handler's time that have a name of their own, while the handler runs; null
  /// unless the caller wants to know.
  call_parts* parts = nullptr;
  /// What the caller's end turns (ticket.hpp); null for a call that cannot be cancelled: one that
  /// runs on the I/O thread.
  ticket* permit = nullptr;
  /// The names in the caller's certificate; null where the link is not encrypted, and for own
  /// calls.
  const cluster::tls_names* certificate = nullptr;
  /// Whether this process itself asks.
  bool own = false;
  /// The W3C traceparent that the caller sent; empty for none.
  std::string_view trace{};
  /// Under which a write happens once; empty for none, and for functions.
  std::string_view key{};
  /// What the thread that called from the own process holds meanwhile (`holding_scope`).
  const void* held = nullptr;

  /// Returns whether nobody waits for the answer any more: the caller gave up, died or was cut off,
  /// or the deadline has passed. A long handler asks now and then. Safe from any thread.
  bool cancelled() const noexcept;
};

/// Takes the encoded result of a call, exactly once, on any thread: it must not block, nor throw.
using raw_reply = actors::completion<bytes>;

/// Takes an encoded result where it lies, on the thread that waits for it: valid during the call
/// only. Must not throw.
using result_sink = std::function<void(std::span<const char>)>;

/// Runs a function on encoded arguments, which are valid during the call only. Called from many
/// threads at once; may throw.
using raw_handler = std::function<caf::expected<bytes>(const call_context& context,
                                                       std::span<const char> arguments)>;

/// Begins a function that answers later, without a thread that waits for the answer. Called on the
/// I/O thread, and for calls of the own process on the caller's: must not block, nor throw.
/// `context` and `arguments` are valid during the call only. `reply` is called exactly once, on any
/// thread, also before this returns; what is returned makes that happen soon, because nobody waits
/// for the answer any more, and may be called on any thread and after the reply.
using raw_starter = std::function<actors::expire(const call_context& context,
                                                 std::span<const char> arguments, raw_reply reply)>;

} // namespace fly::rpc
