#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <caf/error.hpp>
#include <caf/expected.hpp>

#include "fly/rpc/call_table.hpp"
#include "fly/rpc/retry_budget.hpp"
#include "fly/rpc/routes.hpp"
#include "fly/rpc/server.hpp"

namespace fly::cluster {
class channel;
}

namespace fly::rpc {

class answer_reader;

/// The caller's side: picks a member for each call, sends it, tries others where nothing ran, waits
/// where nobody is there, and completes each call exactly once. Replies are called without a lock.
/// Safe from any thread, never blocks.
class client : public std::enable_shared_from_this<client> {
public:
  using time_point = call_table::time_point;

  /// `local` runs the calls that this node answers itself, until `close`.
  client(std::size_t calls_max, server& local);

  /// Begins a call (whom, name, wanted, arguments, begun, deadline, reply, trace). Returns its id;
  /// 0 where it was refused, and then the reply has been called. Errors, to the reply:
  /// errc::overloaded, errc::shutting_down; nothing ran. `own` is the calling thread's that waits
  /// for the answer; null for none.
  std::uint64_t start(call&& begun, answer_reader* own = nullptr);

  /// Ends a call whose caller gives up: the reply gets what is known. Nothing where it has ended.
  void end(std::uint64_t id);

  /// Replaces who can be asked; the next `drive` lets waiting calls try again.
  void reroute(std::shared_ptr<const routes> now);

  /// Takes an answer frame; a malformed one is an error and nothing else happens. Where a `sink` is
  /// given, a result that is not long goes there first, and the reply gets empty bytes.
  caf::error on_answer(const std::shared_ptr<cluster::channel>& from,
                       std::span<const std::byte> payload, const result_sink& sink = {});

  /// Fails the calls that were sent over `which` with errc::member_lost.
  void on_link_down(const std::shared_ptr<cluster::channel>& which, const caf::error& reason);

  /// Ends what is over its deadline and lets waiting calls try that are due.
  void drive(time_point now);

  /// Ends all calls: errc::shutting_down where nothing ran, else errc::member_lost. Refuses new
  /// ones.
  void close();

  std::size_t calls() const;
  std::size_t waiting() const;

private:
  /// What a thread needs of a call to hand it over without the lock.
  struct handoff {
    std::uint64_t id = 0;
    std::uint64_t sent_as = 0;
    std::uint32_t attempt = 0;
    /// Null for this node.
    std::shared_ptr<cluster::channel> link;
    /// What goes before the arguments; for a link.
    std::vector<char> head;
    std::shared_ptr<const bytes> arguments;
    /// Whether others are under way there, so that it may leave with more of them.
    bool crowded = false;
    /// Whether the call is over once somebody has it.
    bool cast = false;
    /// Whether it is the only one there, and nobody else will be asked meanwhile.
    bool alone = false;
    /// For this node; null for another one.
    std::unique_ptr<request> here;
  };

  void attempt(std::uint64_t id);
  void hand_over(std::optional<handoff> what, answer_reader* own = nullptr);
  std::optional<handoff> choose(std::uint64_t id, time_point now, std::optional<call>& over);
  handoff prepare(call& each, const route& to, time_point now);
  void run_here(handoff what);
  bool send(const handoff& what, answer_reader* own);
  void lose(const handoff& what);
  void answered(std::uint64_t sent_as, route_key via, caf::expected<bytes> outcome,
                call_parts parts);
  bool is_served_elsewhere(const call& each);
  bool goes_on(const call& each, const caf::error& reason);
  bool ask_again(std::uint64_t id, caf::error reason, time_point now);
  void withdraw_overdue(time_point now);
  void complete_cast(const handoff& what);
  void give_up(call ended, time_point now, const std::string& regions);
  std::uint64_t random() noexcept;

  server& local_;
  std::atomic<std::uint64_t> random_;
  mutable std::mutex mutex_;
  call_table table_;                     // guarded by mutex_
  retry_budget budget_;                  // guarded by mutex_
  std::shared_ptr<const routes> routes_; // guarded by mutex_; never null
  bool rerouted_ = false;                // guarded by mutex_
  bool closed_ = false;                  // guarded by mutex_
};

} // namespace fly::rpc
