#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include <pqxx/pqxx>

#include "fly/cluster/node.hpp"
#include "fly/repo/database.hpp"
#include "fly/repo/exec.hpp"
#include "fly/rpc/endpoint.hpp"
#include "tests/support/dns_server.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/postgres.hpp"
#include "tests/support/postgres_process.hpp"

namespace fly::test {

inline constexpr repo::write<std::int64_t(std::string)> place_order{"shop.place_order"};
/// The same, on the leader alone.
inline constexpr repo::write<std::int64_t(std::string)> place_order_on_leader{
    "shop.place_order_on_leader"};
/// Returns the id of the order with this text; inserts it only where it is not there yet.
inline constexpr repo::write<std::int64_t(std::string)> get_or_create{"shop.get_or_create"};

/// One node with its parts, on an actor system of its own, as in a process of its own.
struct region_node {
  region_node(cluster::options where, repo::options database)
      : node(std::move(where)), rpc(node), db(rpc, std::move(database)) {
    auto place = [](pqxx::transaction_base& tx, std::string item) {
      auto rows = fly::repo::exec(tx, "INSERT INTO orders (item) VALUES ($1) RETURNING id", item);
      return rows[0][0].as<std::int64_t>();
    };
    db.serve(place_order, place);
    db.serve(place_order_on_leader, {.on_leader = true}, place);
    db.serve(get_or_create, [](pqxx::transaction_base& tx, std::string item) {
      fly::repo::exec(tx, "INSERT INTO once (item) VALUES ($1) ON CONFLICT DO NOTHING", item);
      return fly::repo::exec(tx, "SELECT id FROM once WHERE item = $1", item)[0][0]
          .as<std::int64_t>();
    });
  }

  /// Returns how many rows of `table` with this text the local database has.
  std::int64_t rows(const std::string& table, const std::string& item) const {
    auto count = db.read([&](pqxx::transaction_base& tx) {
      auto sql = "SELECT count(*) FROM " + table + " WHERE item = $1";
      return fly::repo::exec(tx, sql, item)[0][0].as<std::int64_t>();
    });
    return count ? *count : -1;
  }

  cluster::node node;
  rpc::endpoint rpc;
  repo::database db;
};

/// syd with the primary, lax and ams with a replica each: real servers, DNS, and three nodes that
/// have found each other. Throws where that fails.
class three_regions {
public:
  three_regions() : servers_(2) {
    for (const char* table : {"orders", "once"})
      servers_.primary().sql(std::string{"CREATE TABLE "} + table +
                             " (id bigserial PRIMARY KEY, item text UNIQUE); ALTER TABLE " + table +
                             " OWNER TO app");
    servers_.wait_caught_up();
    dns_.set_hosts({{"127.0.0.2", "shop.internal"},
                    {"127.0.0.3", "shop.internal"},
                    {"127.0.0.4", "shop.internal"}});
    for (std::size_t i = 0; i < nodes_.size(); ++i)
      start(i);
    if (!eventually([this] { return met(); }))
      throw std::runtime_error{"the three nodes did not find each other"};
  }

  region_node& syd() { return *nodes_[0]; }
  region_node& lax() { return *nodes_[1]; }
  region_node& ams() { return *nodes_[2]; }
  postgres& servers() { return servers_; }
  postgres_server& lax_database() { return servers_.replica(0); }

private:
  void start(std::size_t index) {
    static constexpr std::array regions{"syd", "lax", "ams"};
    cluster::options where;
    where.region = regions[index];
    where.primary_region = "syd";
    where.app = "shop";
    where.machine_id = std::string{"machine-"} + regions[index];
    where.listen = "127.0.0." + std::to_string(2 + index);
    where.port = port_;
    where.secret = "correct horse battery staple";
    where.dns_server = dns_.address();
    where.discovery_interval = std::chrono::milliseconds{200};
    repo::options database;
    database.database_url =
        index == 0 ? servers_.primary().url() : servers_.replica(index - 1).url();
    nodes_[index] = std::make_unique<region_node>(std::move(where), std::move(database));
    if (auto reason = nodes_[index]->node.join())
      throw std::runtime_error{fly::to_string(reason)};
  }

  bool met() const {
    for (const auto& it : nodes_) {
      auto group = it->node.primary_group();
      if (it->node.members().size() != 3 || group.size() != 1 || group[0].id != "machine-syd")
        return false;
      for (const auto& view : it->node.views())
        if (view.database.role != cluster::claim::role::primary &&
            view.database.role != cluster::claim::role::replica)
          return false;
    }
    return true;
  }

  postgres servers_;
  std::uint16_t port_ = free_port();
  dns_server dns_;
  std::array<std::unique_ptr<region_node>, 3> nodes_;
};

} // namespace fly::test
