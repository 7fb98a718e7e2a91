#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <caf/error.hpp>
#include <caf/expected.hpp>
#include <caf/fwd.hpp>

#include "fly/actors/child_spec.hpp"
#include "fly/actors/pending.hpp"
#include "fly/actors/worker_pool.hpp"
#include "fly/rpc/call.hpp"
#include "fly/rpc/call_observer.hpp"
#include "fly/rpc/call_trace.hpp"
#include "fly/rpc/function.hpp"
#include "fly/rpc/handler.hpp"
#include "fly/rpc/interceptor.hpp"
#include "fly/rpc/remote_actor.hpp"
#include "fly/rpc/signature.hpp"

namespace fly::cluster {
class node;
}

namespace fly::actors {
class supervisor;
}

namespace fly::rpc {

class answer_reader;
class bound_endpoint;
class endpoint_core;

/// Ends a call early, for a caller that gives up: its reply gets what is known. Nothing where it
/// has ended. A value; safe from any thread.
class call_end {
public:
  /// Of a call that has ended.
  call_end() noexcept = default;
  call_end(std::weak_ptr<endpoint_core> core, std::uint64_t id) noexcept
      : core_(std::move(core)), id_(id) {}
  void operator()() const;

private:
  std::weak_ptr<endpoint_core> core_;
  std::uint64_t id_ = 0; // of a call that has ended
};

/// Bounds of an `endpoint`; values outside of theirs are brought inside.
struct endpoint_options {
  /// Threads that run functions, 1 to 1,024, and up to three times as many for the calls of this
  /// member that its functions wait for. An endpoint throws std::system_error where the process
  /// cannot have the first ones.
  std::size_t workers = 8;
  /// Calls that may wait for a thread; one more is answered errc::overloaded at once.
  std::size_t queue_max = 1024;
  /// Own calls that may be under way; one more fails with errc::overloaded at once.
  std::size_t calls_max = 65'536;
  /// Time between two looks of the RPC actor at what waits, 1 ms to 1 s.
  std::chrono::milliseconds tick{50};
  /// What goes around every function that is served, and every call that is made, in this order,
  /// the first one outermost. Functions that each endpoint serves by itself are left out: those of
  /// docs/wire.md but for the database's and fly.explain.
  std::vector<server_interceptor> on_serve{};
  std::vector<caller_interceptor> on_call{};
};

/// What an endpoint is doing, a moment ago.
struct endpoint_counts {
  std::size_t in_flight = 0; ///< Own calls that were sent, or run here.
  std::size_t waiting = 0;   ///< Own calls that wait for a member.
  std::size_t serving = 0;   ///< Calls of others and own local runs that run or wait for a thread.
};

/// The face of the RPC floor: serves functions of this process and calls those of others. Calls are
/// made with `fly::rpc_region`, `fly::rpc_primary`, `fly::rpc_member` (verbs.hpp). Runs its own RPC
/// actor until a user's supervisor starts `child(endpoint)`. A resource: not copied, not moved.
/// Safe from any thread.
class endpoint {
public:
  /// Serves and calls through `node`, which outlives it and need not have joined. A node has one
  /// endpoint at a time: `serve`, `publish` and every call of another one end with
  /// errc::invalid_argument, nothing ran.
  explicit endpoint(cluster::node& node, endpoint_options options = {});

  /// Refuses new calls, lets running functions end, and completes calls that are under way with an
  /// error. Blocks until running functions have returned, and until linked members have heard that
  /// they must ask elsewhere (50 ms and two round trips, at most 1 s); never call it from one.
  ~endpoint();

  endpoint(const endpoint&) = delete;
  endpoint& operator=(const endpoint&) = delete;

  /// Returns this endpoint with other options: `rpc.with({.timeout = 2s})`.
  bound_endpoint with(call_options options) const noexcept;

  /// Serves `f`: calls of it run `handler(args...)`, or `handler(context, args...)`, on the worker
  /// pool, several at once. It returns R or caf::expected<R>; what it throws reaches the caller as
  /// errc::function_failed. One name may be served in up to eight signatures, so that callers of
  /// two versions find theirs.
  /// Errors: errc::already_served in this signature, errc::invalid_argument (the name).
  template <class R, class... Args, handler_of<R, Args...> F>
  caf::error serve(const function<R(Args...)>& f, serve_options options, F handler) {
    return serve_raw(std::string{f.name}, signature_of<R(Args...)>().text, options,
                     make_raw_handler<R, Args...>(std::move(handler)));
  }

  template <class R, class... Args, handler_of<R, Args...> F>
  caf::error serve(const function<R(Args...)>& f, F handler) {
    return serve(f, serve_options{}, std::move(handler));
  }

  /// Serves a function that takes and returns bytes; `signature` must describe them
  /// (signature.hpp). An error that `handler` returns is believed: where it says that nothing ran,
  /// another member may be asked. `as_returned` (returned.hpp) marks that of a function which has
  /// run. Errors: as `serve`.
  caf::error serve_raw(std::string name, std::string signature, serve_options options,
                       raw_handler handler);

  /// The same for the floors of fly itself, whose names begin with "fly.".
  caf::error serve_builtin(std::string name, std::string signature, raw_handler handler);
  caf::error serve_builtin(std::string name, std::string signature, raw_starter later);
  void unserve_builtin(std::string_view name);

  /// Stops serving `name`, in all its signatures; calls that have begun go on. Does nothing for an
  /// unknown name.
  void unserve(std::string_view name);

  /// Returns the names that are served here and their signatures; of several, the one served first.
  std::map<std::string, std::string> served() const;

  /// Lets other members speak with `who` under `name` (1 to 200 printable characters): it is kept
  /// alive until it ends by itself, which takes the name back, or until `unpublish`. What each
  /// member may have in its mailbox has a bound (rpc::mailbox_share).
  /// Errors: errc::already_served (`unpublish` first), invalid_argument (the name, no actor, one
  /// that has ended, more than 4,096), shutting_down.
  caf::error publish(std::string name, const caf::actor& who, publish_options options = {});

  /// Publishes `name` no more: handles that members have of it end with errc::shutting_down. The
  /// actor itself lives on. Does nothing for an unknown name.
  void unpublish(std::string_view name);

  /// As those of bound_endpoint, with default options.
  caf::expected<caf::actor> actor(std::string_view member, std::string_view name) const;
  actors::pending<caf::actor> actor(caf::scheduled_actor* self, std::string_view member,
                                    std::string_view name) const;

  /// Starts a call and returns at once; `reply` is called exactly once, on any thread, also before
  /// this returns. All typed calls go through here. An empty `wanted` calls by name alone, without
  /// a check of the types. What is returned ends the call early, for a caller that gives up.
  /// Errors, to `reply`: errc::no_node_in_region, no_primary, no_such_member, unknown_function,
  /// signature_mismatch, malformed_arguments, overloaded, expired, frame_too_large, shutting_down:
  /// nothing ran. function_failed, malformed_result: it ran. timeout, member_lost: unknown.
  /// And what the function itself returns. Where `trace` is given it learns of the call's way, and
  /// the member is asked to time its side; it may be read once `reply` is called. `how` says
  /// whether it may run twice, whether an answer is wanted, and what trace it belongs to.
  call_end start(const target& whom, std::string_view name, const signature& wanted,
                 bytes arguments, std::chrono::steady_clock::time_point deadline, raw_reply reply,
                 std::shared_ptr<call_trace> trace = {}, call_traits how = {},
                 answer_reader* own = nullptr) const;

  /// For a thread that has started one call with `own` and only waits for it: reads the answer
  /// itself where it can, which completes the call in this thread. Returns without it after some
  /// milliseconds, and not after `until`.
  void read_answer(answer_reader& own, std::chrono::steady_clock::time_point until) const;

  /// Tells `observer` of each call that ends from now on, made here or asked for here, on any
  /// thread and outside of locks; there is one observer, and an empty one hears nothing. Calls that
  /// are under way keep the one that they began with. Without one a call costs nothing more.
  void observe(call_observer observer);

  /// Returns what is under way.
  endpoint_counts counts() const;

  cluster::node& node() const noexcept;

  /// Returns the pool that runs the functions.
  actors::worker_pool& workers() const noexcept;

private:
  friend actors::child_spec child(endpoint& rpc);
  friend class bound_endpoint;

  std::shared_ptr<endpoint_core> core_;     // shared with the RPC actor
  std::unique_ptr<actors::supervisor> own_; // of the RPC actor that stands by
};

/// An endpoint and the options of the calls made with it: what the verbs take. A value; the
/// endpoint outlives it.
class bound_endpoint {
public:
  bound_endpoint(const endpoint& rpc, call_options options = {}) noexcept
      : rpc_(&rpc), options_(std::move(options)) {}

  const endpoint& rpc() const noexcept { return *rpc_; }
  const call_options& options() const noexcept { return options_; }

  /// Returns errc::invalid_argument naming the option that is none; every call asks before it
  /// begins.
  caf::error check() const;

  /// Returns what the options say of a call.
  call_traits traits() const {
    return {.idempotent = options_.idempotent,
            .attempt_max = options_.attempt_max,
            .trace = options_.trace};
  }

  /// Returns the actor that the member with the id `member` has published as `name`, as a handle
  /// for CAF: messages, requests and monitors work as with an actor of this process (what does not
  /// is in docs/remote-actors.md). The same one each time while it lives; the actor itself where
  /// `member` is this node. Waits for a member that is not there. Blocks: never call from an actor.
  /// Errors: errc::unknown_function (nothing of that name is published there, or the member has an
  /// older version of fly), not_allowed, overloaded, and as `endpoint::start`.
  caf::expected<caf::actor> actor(std::string_view member, std::string_view name) const;

  /// The same in the name of the actor `self`: `.then(on_value, on_error)`.
  actors::pending<caf::actor> actor(caf::scheduled_actor* self, std::string_view member,
                                    std::string_view name) const;

  /// Returns when a call that begins now ends at the latest: after its timeout, and within a
  /// handler no later than the call that runs.
  std::chrono::steady_clock::time_point deadline() const noexcept;

private:
  const endpoint* rpc_;
  call_options options_;
};

/// Returns the RPC actor as a child of the user's own supervisor, id "rpc". Once started there it
/// takes over from the endpoint's own; killing it loses no call. The endpoint outlives it.
actors::child_spec child(endpoint& rpc);

} // namespace fly::rpc
