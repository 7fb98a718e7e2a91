#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fly/cluster/member.hpp"
#include "fly/rpc/call.hpp"
#include "fly/rpc/registry.hpp"

namespace fly::cluster {
class channel;
}

namespace fly::rpc {

/// Counts one call of a member as long as it lives.
class busy_mark {
public:
  busy_mark() = default;
  explicit busy_mark(std::shared_ptr<std::atomic<std::uint32_t>> count) : count_(std::move(count)) {
    ++*count_;
  }
  busy_mark(busy_mark&& other) noexcept : count_(std::exchange(other.count_, nullptr)) {}
  busy_mark& operator=(busy_mark&& other) noexcept {
    std::swap(count_, other.count_);
    return *this;
  }
  ~busy_mark() {
    if (count_)
      --*count_;
  }

private:
  std::shared_ptr<std::atomic<std::uint32_t>> count_;
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
  /// Calls of this endpoint that are under way there; lives on over a new route to the same member.
  std::shared_ptr<std::atomic<std::uint32_t>> in_flight;
};

/// What is asked for.
struct wish {
  const target& whom;
  std::string_view name;
  std::uint64_t fingerprint = 0;
  /// Ids of members that have refused already: not chosen.
  const std::vector<std::string>& refused;
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

  /// Returns the regions with the number of their members, "ams (1), lax (2)"; "none".
  std::string regions() const;

  const std::vector<route>& all() const noexcept { return all_; }

private:
  std::vector<route> all_;
};

} // namespace fly::rpc
