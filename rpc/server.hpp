#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <caf/error.hpp>

#include "fly/actors/pending.hpp"
#include "fly/actors/worker_pool.hpp"
#include "fly/rpc/admission.hpp"
#include "fly/rpc/answers.hpp"
#include "fly/rpc/call.hpp"
#include "fly/rpc/call_observer.hpp"
#include "fly/rpc/registry.hpp"
#include "fly/rpc/ticket.hpp"

namespace fly::rpc {

struct call_message;

/// Stands in the details of an errc::overloaded that the server itself gave before the function was
/// started; one that the function returned has none.
inline constexpr const char* not_started_detail = "not_started";

/// One call to be run here.
struct request {
  std::string name;
  std::uint64_t fingerprint = 0;
  bool primary_only = false;
  call_context context;
  /// Takes the outcome, on any thread; never called for a call that was cancelled in the queue.
  raw_reply respond;
  /// What `context.parts` points to; null where the caller does not want to know. Complete when
  /// `respond` is called.
  std::shared_ptr<call_parts> parts{};
  /// When it came; set with `parts` alone.
  std::chrono::steady_clock::time_point arrived{};
  /// What `context.caller` belongs to.
  std::shared_ptr<const void> keeps{};
  /// What `context.trace` points to; null for none.
  std::shared_ptr<const std::string> trace{};
};

/// Runs functions: looks the name up, queues the call for a worker (or runs it on the I/O thread,
/// where the function wants that), drops what was cancelled or came too late, turns exceptions into
/// errors, and answers. Safe from any thread.
class server {
public:
  /// `is_primary` says whether this node is in the primary group. The pool outlives the server.
  server(actors::worker_pool& workers, std::function<bool()> is_primary);

  /// Adds or removes a function; see `registry`.
  caf::error add(std::string name, served_function function);
  bool remove(std::string_view name);
  std::map<std::string, std::string> signatures() const;
  rpc::offer offer() const;

  /// Runs a call of this process on the worker pool. Returns its ticket.
  std::shared_ptr<ticket> run(request wanted, std::shared_ptr<const bytes> arguments);

  /// Takes a call or cancel frame; malformed ones are errors and nothing else happens. Only on the
  /// I/O thread.
  caf::error on_call(const std::shared_ptr<cluster::channel>& from,
                     std::span<const std::byte> payload);
  caf::error on_cancel(const std::shared_ptr<cluster::channel>& from,
                       std::span<const std::byte> payload);

  /// Drops the queued calls of a caller that is gone, and cancels those that run.
  void on_link_down(const std::shared_ptr<cluster::channel>& which);

  /// Tries again to send answers that full links did not take.
  void flush(std::chrono::steady_clock::time_point now) { answers_.flush(now); }

  /// Refuses calls with errc::shutting_down from now on and drops those in the queue, which are
  /// answered so too.
  void close();

  /// Ends the calls that are answered later, and returns once they are; no new ones come.
  void end_later();

  /// Forgets the functions, and with them what their handlers hold.
  void clear();

  /// Returns who hears of the calls that end.
  observer_slot& observers() noexcept { return observers_; }

  /// Returns the bytes of answers that full links have not taken yet.
  std::size_t late_bytes() const { return answers_.kept_bytes(); }

  /// Returns how many calls run or wait for a worker.
  std::size_t serving() const noexcept { return serving_; }

  /// Returns how many have begun that are answered later.
  std::size_t later() const;

private:
  using call_key = std::pair<const cluster::channel*, std::uint64_t>;
  using function_ptr = std::shared_ptr<const served_function>;
  struct job;

  caf::expected<function_ptr> check(std::string_view name, std::uint64_t fingerprint,
                                    bool primary_only) const;
  void run_at_once(const std::shared_ptr<cluster::channel>& from, const call_message& message,
                   const served_function& function);
  void queue(const std::shared_ptr<job>& todo);
  void drop(const job& dropped);
  void begin_later(const std::shared_ptr<job>& todo);
  bool execute(const request& wanted, const served_function& function,
               std::span<const char> arguments) const;
  void queue_remote(request&& wanted, function_ptr function, const call_message& message,
                    const std::shared_ptr<cluster::channel>& from);
  raw_reply responder(const std::shared_ptr<cluster::channel>& from, const call_message& message,
                      const request& wanted, const ticket* permit);
  void forget(const call_key& key, const ticket* permit);

  actors::worker_pool& workers_;
  const std::function<bool()> is_primary_;
  answers answers_;
  observer_slot observers_;
  std::atomic<std::size_t> serving_{0};
  std::atomic<bool> closed_{false};
  mutable std::mutex mutex_;
  std::condition_variable answered_;
  std::size_t later_ = 0; // guarded by mutex_; calls that are answered later
  registry registry_;     // guarded by mutex_
  std::map<call_key, std::shared_ptr<ticket>> remote_; // guarded by mutex_; queued or running
};

} // namespace fly::rpc
