#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fly/cluster/member.hpp"
#include "fly/rpc/call.hpp"
#include "fly/rpc/health.hpp"
#include "fly/rpc/registry.hpp"

namespace fly::cluster {
class channel;
}

namespace fly::rpc {

/// Counts one call of a member as long as it lives.
class busy_mark {
public:
  busy_mark() = default;
  explicit busy_mark(std::shared_ptr<member_load> load) : load_(std::move(load)) { ++load_->calls; }
  busy_mark(busy_mark&& other) noexcept : load_(std::exchange(other.load_, nullptr)) {}
  busy_mark& operator=(busy_mark&& other) noexcept {
    std::swap(load_, other.load_);
    return *this;
  }
  ~busy_mark() {
    if (load_)
      --load_->calls;
  }

  /// Returns what is known of the member; null where nothing is counted.
  member_load* of() const noexcept { return load_.get(); }

private:
  std::shared_ptr<member_load> load_;
};

/// A member that can be asked.
struct route {
  cluster::member who;
  /// Null for this node.
  std::shared_ptr<cluster::channel> link;
  /// What it serves; null where it has no endpoint (yet).
  std::shared_ptr<const offer> offered;
  /// Whether it is in the primary group.
  bool primary = false;
  /// Whether it was silent lately: asked only where nobody else is there.
  bool suspect = false;
  /// Whether it is this node: preferred.
  bool self = false;
  /// How the calls of this endpoint fare there; lives on over a new route to the same member.
  std::shared_ptr<member_load> load;
};

/// What is asked for.
struct wish {
  const target& whom;
  std::string_view name;
  std::uint64_t fingerprint = 0;
  /// Ids of members that have refused already: not chosen.
  const std::vector<std::string>& refused;
  /// Members that rest at this time are asked only where nobody else is there.
  std::chrono::steady_clock::time_point now{};
};

/// Who can be asked, as of one moment; replaced as a whole when the cluster changes. A pure value.
class routes {
public:
  routes() = default;
  explicit routes(std::vector<route> all) : all_(std::move(all)) {}

  /// Returns who is to run the call, null where nobody is there. Only those that serve the name in
  /// this signature count (where nobody announces it, all: whoever is asked says what is wrong). Of
  /// them this node, where it is one; else, of two chosen by `random`, the one with fewer calls in
  /// flight.
  const route* pick(const wish& wanted, std::uint64_t random) const;

  /// Returns whether somebody who has not refused announces the name in this signature.
  bool is_served(const wish& wanted) const;

  /// Returns the regions with the number of their members, "ams (1), lax (2)"; "none".
  std::string regions() const;

  const std::vector<route>& all() const noexcept { return all_; }

private:
  std::vector<route> all_;
};

} // namespace fly::rpc
