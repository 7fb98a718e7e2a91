#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <caf/error.hpp>
#include <caf/expected.hpp>

#include "fly/actors/backoff.hpp"
#include "fly/rpc/call.hpp"
#include "fly/rpc/call_trace.hpp"
#include "fly/rpc/routes.hpp"
#include "fly/rpc/signature.hpp"

namespace fly::rpc {

/// Where a call is sent: an identity to compare, never looked into.
using route_key = const void*;

class ticket;

/// Where a call stands.
enum class call_state : std::uint8_t {
  waiting, ///< For a member, or for the next attempt.
  sending, ///< A thread is handing it to a link; nobody else may.
  sent,    ///< The member has it, or will.
};

/// One call of this endpoint. Moved out of the table when it ends.
struct call {
  target whom;
  std::string name;
  signature wanted;
  std::shared_ptr<const bytes> arguments;
  std::chrono::steady_clock::time_point begun;
  std::chrono::steady_clock::time_point deadline;
  raw_reply reply;
  /// Learns of the call's way; null where nobody wants to know.
  std::shared_ptr<call_trace> trace{};
  call_traits traits{};

  call_state state = call_state::waiting;
  /// How often it was handed to a member; tells an attempt from the next one.
  std::uint32_t attempt = 0;
  /// To whom: identity and name. Set while sending or sent.
  route_key via = nullptr;
  std::string via_id;
  /// Its number in the table.
  std::uint64_t id = 0;
  /// The number of its last attempt, by which it is answered: another one for each, so that the
  /// late answer of an earlier attempt is none.
  std::uint64_t sent_as = 0;
  /// The connection that it was sent over; null for a run on this node.
  std::shared_ptr<cluster::channel> link;
  /// Of a run on this node: decides whether it begins.
  std::shared_ptr<ticket> permit;
  /// Counts the call among those of the member.
  busy_mark busy;
  /// When the next attempt is due, while waiting; max(): when the cluster changes.
  std::chrono::steady_clock::time_point due = std::chrono::steady_clock::time_point::max();
  /// Until when the member that has it is waited for, where another one may be asked, too.
  std::chrono::steady_clock::time_point attempt_until =
      std::chrono::steady_clock::time_point::max();
  /// Members that said "nothing ran" in this round.
  std::vector<std::string> refused;
  /// What the last of them said.
  caf::error refusal;
  /// Set with the first wait after a refusal.
  std::unique_ptr<actors::backoff> pause;
};

/// The calls of an endpoint that have no answer yet. Each leaves the table once, and whoever took
/// it out completes it. A pure value: takes the time, and is guarded by who owns it.
class call_table {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// Takes at most `calls_max` calls at a time.
  explicit call_table(std::size_t calls_max) : calls_max_(calls_max) {}

  /// Adds a waiting call and returns its id, never 0. On an error the call stays with the caller.
  /// Errors: errc::overloaded.
  caf::expected<std::uint64_t> add(call& begun);

  /// Returns the call, null where it has ended; valid until the next change.
  call* find(std::uint64_t id);

  /// Says that a waiting call is handed to `via`; returns the number of the attempt.
  std::uint32_t sending(std::uint64_t id, route_key via, std::string via_id);

  /// Says that the attempt was handed over. Does nothing where the call has moved on meanwhile.
  void sent(std::uint64_t id, std::uint32_t attempt);

  /// Returns whether the attempt is still the call's last one and has no answer.
  bool is_current(std::uint64_t id, std::uint32_t attempt);

  /// Returns the call whose last attempt is `sent_as`, and was handed to `via`; null where it has
  /// ended, or moved on.
  call* find_sent(std::uint64_t sent_as, route_key via);

  /// Notes that `via` said "nothing ran", and lets the call wait again, due at once. Returns
  /// whether the call was there.
  bool refuse(std::uint64_t id, route_key via, caf::error refusal);

  /// Lets a refused call wait longer before the next round, 10 ms to 500 ms, growing; the refusals
  /// are forgotten. `seed` decides the jitter.
  void rest(std::uint64_t id, time_point now, std::uint64_t seed);

  /// Takes out a call, however it stands.
  std::optional<call> take(std::uint64_t id);

  /// Takes out every call that was sent to `via`. Those whose sending is not over stay: the thread
  /// that sends them finds the link closed.
  std::vector<call> lose(route_key via);

  /// Returns the calls that were sent to `via` and may be asked for again.
  std::vector<std::uint64_t> repeatable(route_key via) const;

  /// Returns the calls whose member was waited for long enough.
  std::vector<std::uint64_t> overdue(time_point now) const;

  /// Takes out every call whose deadline is at or before `now`.
  std::vector<call> expire(time_point now);

  /// Takes out all.
  std::vector<call> drain();

  /// Returns the waiting calls that are due.
  std::vector<std::uint64_t> due(time_point now) const;

  /// Returns all waiting calls, and forgets their refusals: the cluster has changed.
  std::vector<std::uint64_t> changed();

  std::size_t size() const noexcept { return size_; }
  /// Returns how many calls wait.
  std::size_t waiting() const;

private:
  template <class Claim>
  std::vector<call> take_if(Claim claim);
  template <class Claim>
  std::vector<std::uint64_t> ids_of(Claim claim) const;
  void free(std::size_t place);

  std::uint64_t next_number(std::uint32_t place) noexcept;

  // An id is the call's place, and above it the number of its turn, by which the next call in the
  // same place differs; so is the number of an attempt. A free place has a call whose id is 0.
  std::size_t calls_max_;
  std::size_t size_ = 0; // <= calls_max_
  std::uint32_t last_turn_ = 0;
  std::vector<call> calls_; // size() <= calls_max_
  std::vector<std::uint32_t> free_;
};

/// Returns the error of a call that ends at `now` without an answer, by where it stands: nothing
/// ran while it waited, unknown once it was sent. `regions` says who is seen.
caf::error no_answer(const call& ended, call_table::time_point now, const std::string& regions);

/// Lets `each` be asked for again though it may have run: an error of the next attempts that says
/// "nothing ran" becomes `reason`, which does not.
void doubt(call& each, caf::error reason);

/// Returns the error of a call that was sent over a link that is gone; `why` may be empty.
caf::error lost_with_link(const call& ended, const std::string& why);

} // namespace fly::rpc
