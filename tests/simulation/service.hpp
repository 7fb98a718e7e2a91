#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "fly/cluster/node.hpp"
#include "fly/repo/database_core.hpp"
#include "fly/repo/ledger.hpp"
#include "fly/repo/write.hpp"
#include "fly/rpc/endpoint.hpp"
#include "fly/rpc/function.hpp"
#include "tests/simulation/history.hpp"
#include "tests/simulation/random.hpp"
#include "tests/simulation/world.hpp"

namespace fly::simulation {

class session;

/// Bounds of the services, small enough to be met.
struct service_bounds {
  std::size_t workers = 3;
  std::size_t queue_max = 12;
  std::size_t calls_max = 60;
  std::size_t waiters_max = 20;
};

/// What runs on a node: writes and functions that it serves, its database, and users who call.
class service {
public:
  service(world& all, history& told, machine& host, cluster::node& node, std::string version,
          service_bounds bounds);
  ~service();

  service(const service&) = delete;
  service& operator=(const service&) = delete;

  /// Tells nobody anything any more: the machine crashes.
  void fall_silent() noexcept { alive_.reset(); }

  /// Begins no more operations.
  void stop_users() noexcept { users_ = false; }

  rpc::endpoint& rpc() noexcept { return *rpc_; }
  repo::database_core& database() noexcept { return *database_; }
  const service_bounds& bounds() const noexcept { return bounds_; }

private:
  struct transaction;

  /// One write, as it came to the primary.
  struct order {
    std::uint64_t number = 0;
    bool on_leader = false;
    cluster::epoch turn{};
    std::optional<repo::keyed_write> once{};
  };

  void serve();
  void keep();
  void lead();
  void use_later();
  void use();
  void write(bool keyed, bool on_leader);
  void call();

  caf::expected<rpc::bytes> run_write(const rpc::call_context& context,
                                      std::span<const char> arguments, bool on_leader);
  caf::expected<rpc::bytes> run_on(const rpc::call_context& context, session& on,
                                   const order& what);
  caf::expected<std::optional<repo::ledger_entry>> claim(const rpc::call_context& context,
                                                         session& on, const repo::keyed_write* once,
                                                         std::uint64_t xid);
  caf::expected<repo::position> commit(const rpc::call_context& context, session& on,
                                       const order& what, std::uint64_t xid);
  caf::error left_behind() const;

  world& world_;
  history& told_;
  machine& host_;
  cluster::node& node_;
  const std::string version_;
  const service_bounds bounds_;
  random_source random_;
  bool users_ = true;
  std::unique_ptr<rpc::endpoint> rpc_;
  std::shared_ptr<repo::database_core> database_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

} // namespace fly::simulation
