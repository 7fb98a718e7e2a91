#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include <caf/actor_control_block.hpp>
#include <caf/error.hpp>
#include <caf/fwd.hpp>

namespace fly::rpc {

/// An actor without a behavior and without a mailbox: whatever is sent to it is handed to a
/// function, on the sender's thread. Monitors and links work as with every actor. Stands for an
/// actor of another process, or for those of another member. It keeps nobody waiting at the end of
/// the actor system.

/// One message for a stub, or from one.
struct mail {
  caf::strong_actor_ptr sender;
  /// CAF's message id: whether it is a request or a response, its number, its urgency.
  std::uint64_t id = 0;

  bool is_request() const noexcept;
  bool is_response() const noexcept;
  bool is_urgent() const noexcept;
  /// Returns the number of the request that this is, or responds to.
  std::uint64_t number() const noexcept;
};

/// Takes what was sent to a stub; on any thread, several at once. Must not block.
using mail_receiver = std::function<void(const mail& what, const caf::type_erased_tuple& content)>;

/// Tells the actor system once an actor is there to be reached: a program without any has none.
using system_source = std::function<caf::actor_system&()>;

/// Makes a stub of `system`.
caf::strong_actor_ptr make_stub(caf::actor_system& system, mail_receiver receiver);

/// Ends a stub: those who monitor it, or are linked to it, hear `reason`. Idempotent.
void end_stub(const caf::strong_actor_ptr& stub, caf::error reason);

/// Watches `whom` for `watcher`, a stub, which is sent a down message at its end, at once where
/// that was before.
void begin_watch(const caf::strong_actor_ptr& whom, const caf::strong_actor_ptr& watcher);
void end_watch(const caf::strong_actor_ptr& whom, const caf::strong_actor_ptr& watcher);

/// Returns the exit reason in `content` where that is a down message; null where it is none.
const caf::error* down_reason(const caf::type_erased_tuple& content);

/// Returns the error in `content` where that is all it has; null where it is something else.
const caf::error* error_in(const caf::type_erased_tuple& content);

/// Returns whether `content` is an exit message.
bool is_exit(const caf::type_erased_tuple& content);

/// Responds to the request `what` in the name of `from`.
void respond(const mail& what, const caf::strong_actor_ptr& from, caf::message content);
void respond(const mail& what, const caf::strong_actor_ptr& from, caf::error reason);

/// What of one origin waits in a mailbox.
class mailbox_share {
public:
  /// Messages, and bytes as they were packed; one more message is refused at either.
  static constexpr std::size_t messages_max = 65'536;
  static constexpr std::size_t bytes_max = 16 * 1024 * 1024;

  /// Takes a place for a message; false where there is none. Only on one thread.
  bool enter(std::size_t bytes) noexcept;
  void leave(std::size_t bytes) noexcept;

  std::size_t messages() const noexcept { return messages_; }

private:
  std::atomic<std::size_t> messages_{0};
  std::atomic<std::size_t> bytes_{0};
};

/// Puts a message into the mailbox of `to`; it has entered `share`, and leaves it when `to` is done
/// with it. `request` 0 for none.
void deliver(const caf::strong_actor_ptr& to, caf::strong_actor_ptr from, std::uint64_t request,
             bool urgent, caf::message content, std::shared_ptr<mailbox_share> share,
             std::size_t bytes);

} // namespace fly::rpc
