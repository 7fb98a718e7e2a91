#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>

#include <caf/error.hpp>
#include <caf/expected.hpp>
#include <caf/fwd.hpp>

#include "fly/cluster/log.hpp"
#include "fly/rpc/letter.hpp"
#include "fly/rpc/stub.hpp"

namespace fly::cluster {
class channel;
}

namespace fly::rpc {

/// The actors of other members that this process speaks with. For each a stub stands here: what is
/// sent to it leaves as a frame, on the sender's thread; it ends with the actor, or with the link
/// to its member. Safe from any thread.
class actor_imports : public std::enable_shared_from_this<actor_imports> {
public:
  /// Most actors at one time.
  static constexpr std::size_t imported_max = 65'536;

  /// Packs messages with the types of `system`'s.
  actor_imports(system_source system, cluster::log_sink log)
      : system_(std::move(system)), log_(std::move(log)) {}

  /// Returns the actor that the member at the other end of `link` has published under that number
  /// and `name`; always the same one while it lives. Errors: errc::overloaded, no_such_member (the
  /// link is closed).
  caf::expected<caf::actor> adopt(const std::shared_ptr<cluster::channel>& link,
                                  std::uint64_t publication, const std::string& name);

  /// Take frames; malformed ones are errors and nothing else happens. Only on the I/O thread.
  caf::error on_reply(const std::shared_ptr<cluster::channel>& from,
                      std::span<const std::byte> payload);
  caf::error on_ended(const std::shared_ptr<cluster::channel>& from,
                      std::span<const std::byte> payload);

  /// Ends all actors of a member that is gone.
  void on_link_down(const std::shared_ptr<cluster::channel>& which, const caf::error& reason);

  /// Ends all. Idempotent.
  void close();

private:
  struct imported;
  using import_key = std::pair<const cluster::channel*, std::uint64_t>;

  std::shared_ptr<imported> find(const import_key& key) const;
  std::shared_ptr<imported> remove(const import_key& key);
  void send(imported& to, const mail& what, const caf::type_erased_tuple& content);
  void undo(imported& to, const mail& what, std::uint64_t request, const caf::error& reason);
  void end(imported& whom, const caf::error& reason);
  void drop(imported& to, const mail& what, const caf::error& reason);

  system_source system_;
  const cluster::log_sink log_;
  mutable std::mutex mutex_;
  bool closed_ = false;                                      // guarded by mutex_
  std::map<import_key, std::shared_ptr<imported>> imported_; // guarded by mutex_
  std::atomic<std::uint64_t> last_request_{0};
};

} // namespace fly::rpc
