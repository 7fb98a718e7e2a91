#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <caf/actor_control_block.hpp>
#include <caf/error.hpp>
#include <caf/expected.hpp>
#include <caf/fwd.hpp>

#include "fly/cluster/log.hpp"
#include "fly/rpc/call.hpp"
#include "fly/rpc/late_frames.hpp"
#include "fly/rpc/letter.hpp"
#include "fly/rpc/stub.hpp"

namespace fly::cluster {
class channel;
}

namespace fly::rpc {

/// The actors that this process publishes, and what the members that speak with them have sent.
/// For each member that speaks with an actor a stub stands in its place: messages come from it, and
/// replies go to it. Safe from any thread.
class actor_exports : public std::enable_shared_from_this<actor_exports> {
public:
  /// Most actors published at one time.
  static constexpr std::size_t published_max = 4096;

  /// Unpacks messages with the types of `system`'s.
  actor_exports(system_source system, cluster::log_sink log)
      : system_(std::move(system)), log_(std::move(log)) {}

  /// Publishes an actor; see endpoint::publish.
  caf::error publish(std::string name, const caf::actor& who, std::vector<caller_rule> allow);

  /// Publishes it no more; those who speak with it hear of its end. Nothing for an unknown name.
  void unpublish(std::string_view name);

  /// Returns the number of the actor `name`, never 0, for whoever `asker` says. Errors:
  /// errc::unknown_function, with the name as detail "actor"; errc::not_allowed.
  caf::expected<std::uint64_t> find(const std::string& name, const call_context& asker) const;

  /// Returns the actor of that number; null where there is none.
  caf::strong_actor_ptr local(std::uint64_t publication) const;

  /// Take frames; malformed ones are errors and nothing else happens. Only on the I/O thread.
  caf::error on_attach(const std::shared_ptr<cluster::channel>& from,
                       std::span<const std::byte> payload);
  caf::error on_letter(const std::shared_ptr<cluster::channel>& from,
                       std::span<const std::byte> payload);

  /// Ends the stubs of a member that is gone.
  void on_link_down(const std::shared_ptr<cluster::channel>& which);

  /// Tries again to send what full links did not take.
  void flush() { late_.flush(); }
  bool has_late() const noexcept { return !late_.is_empty(); }

  /// Publishes nothing any more and ends all stubs; those who speak with actors here hear
  /// errc::shutting_down. Idempotent.
  void close();

private:
  struct publication {
    std::string name;
    caf::strong_actor_ptr who;
    std::vector<caller_rule> allow;
    caf::strong_actor_ptr watch; // hears of the actor's end
  };
  struct attachment {
    std::shared_ptr<cluster::channel> link;
    caf::strong_actor_ptr stub; // in the member's place
    std::shared_ptr<mailbox_share> share;
    bool has_warned = false;
  };
  using attachment_key = std::pair<const cluster::channel*, std::uint64_t>;

  void withdraw(std::uint64_t number, const caf::error& reason);
  void tell_end(const attachment& whom, std::uint64_t number, const caf::error& reason);
  void end_attachment(const attachment_key& which, const caf::error& reason);
  void reply(const std::shared_ptr<cluster::channel>& to, std::uint64_t number,
             std::uint64_t request, const caf::type_erased_tuple& content);
  void refuse(const std::shared_ptr<cluster::channel>& from, const letter_message& letter,
              caf::error reason);

  system_source system_;
  const cluster::log_sink log_;
  late_frames late_;
  mutable std::mutex mutex_;
  bool closed_ = false;                                     // guarded by mutex_
  std::uint64_t last_number_ = 0;                           // guarded by mutex_
  std::map<std::uint64_t, publication> published_;          // guarded by mutex_
  std::map<std::string, std::uint64_t, std::less<>> names_; // guarded by mutex_
  std::map<attachment_key, attachment> attached_;           // guarded by mutex_
};

} // namespace fly::rpc
