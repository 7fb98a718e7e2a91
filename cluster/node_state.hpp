#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "fly/cluster/board.hpp"
#include "fly/cluster/claim.hpp"
#include "fly/cluster/doorbell.hpp"
#include "fly/cluster/listeners.hpp"
#include "fly/cluster/member.hpp"
#include "fly/cluster/mesh.hpp"
#include "fly/cluster/newest.hpp"
#include "fly/cluster/options.hpp"

namespace fly::cluster {

/// What a node is, whatever carries it: what it was told, who it is, what it sees, who hears of it,
/// and the way to its links. The face `node` asks nothing else, once it has joined. A resource. The
/// public members are safe from any thread.
class node_state {
public:
  node_state(const node_state&) = delete;
  node_state& operator=(const node_state&) = delete;

  const options& settings() const noexcept { return settings_; }
  const member& self() const noexcept { return self_; }
  kept_snapshot read() const { return board_.read(); }
  listeners& heard_by() noexcept { return listeners_; }
  doorbell& bell() noexcept { return *bell_; }
  /// What this node announces, until the I/O thread takes it; shared with what tells that.
  const std::shared_ptr<newest<std::string>>& services() const noexcept { return services_; }
  const std::shared_ptr<newest<claim>>& database() const noexcept { return database_; }
  const std::shared_ptr<newest<std::uint32_t>>& load() const noexcept { return load_; }

  /// As `node::occupy` and `node::vacate`.
  bool occupy(const void* who) noexcept {
    const void* nobody = nullptr;
    return occupant_.compare_exchange_strong(nobody, who);
  }
  void vacate(const void* who) noexcept { occupant_.compare_exchange_strong(who, nullptr); }

protected:
  /// A node that sees itself alone, if it is no observer.
  node_state(options settings, member self);
  ~node_state() = default;

  /// Returns what its links begin with, by the options, which have no problem; without TLS.
  mesh_options links_setup() const;

  const options settings_;
  const member self_;
  board board_;
  listeners listeners_;
  std::shared_ptr<doorbell> bell_;
  std::shared_ptr<newest<std::string>> services_ = std::make_shared<newest<std::string>>();
  std::shared_ptr<newest<claim>> database_ = std::make_shared<newest<claim>>();
  std::shared_ptr<newest<std::uint32_t>> load_ = std::make_shared<newest<std::uint32_t>>();
  std::atomic<const void*> occupant_{nullptr};
};

/// Returns the incarnation of a node that begins now: microseconds since 1970.
std::uint64_t incarnation_now();

} // namespace fly::cluster
