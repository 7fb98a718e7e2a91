#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include <pqxx/pqxx>

#include "fly/actors/error.hpp"
#include "fly/cluster/node.hpp"
#include "fly/repo/database.hpp"
#include "fly/repo/exec.hpp"
#include "fly/rpc/endpoint.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/postgres.hpp"
#include "tests/support/quick_options.hpp"

/// The contract of the shop, as a user writes one.
namespace shop {

struct order {
  std::int64_t id = 0;
  std::string item;
  std::int32_t count = 0;
};

template <class Inspector>
auto inspect(Inspector& f, order& x) {
  return f(caf::meta::type_name("shop::order"), x.id, x.item, x.count);
}

inline constexpr fly::repo::write<order(std::string, std::int32_t)> place{"shop.place"};
inline constexpr fly::repo::write<std::int64_t(std::string)> get_or_create{"shop.get_or_create"};
inline constexpr fly::repo::write<std::int32_t(std::string)> look{"shop.look"};
inline constexpr fly::repo::write<void(std::string)> drop{"shop.drop"};
inline constexpr fly::repo::write<std::string(std::int32_t)> fill{"shop.fill"};

} // namespace shop

namespace fly::test {

/// Returns options of a node on any free port, quick enough for a test. The label says syd.
inline cluster::options far_options(const std::string& region, std::vector<std::string> peers) {
  auto result = quick_options(region, std::move(peers));
  result.frame_bytes_max = 256 * 1024;
  return result;
}

inline repo::options database_options(const std::string& url) {
  repo::options result;
  result.database_url = url;
  result.role_interval = std::chrono::milliseconds{100};
  result.fresh_interval = std::chrono::milliseconds{300};
  return result;
}

/// Serves the shop on `db`.
inline void serve_shop(repo::database& db) {
  db.serve(shop::place, [](pqxx::transaction_base& tx, std::string item, std::int32_t count) {
    auto rows = fly::repo::exec(tx, "INSERT INTO orders (item, count) VALUES ($1, $2) RETURNING id",
                                item, count);
    return shop::order{rows[0][0].as<std::int64_t>(), item, count};
  });
  db.serve(shop::get_or_create, [](pqxx::transaction_base& tx, std::string item) {
    fly::repo::exec(tx, "INSERT INTO names (name) VALUES ($1) ON CONFLICT DO NOTHING", item);
    return fly::repo::exec(tx, "SELECT id FROM names WHERE name = $1", item)[0][0]
        .as<std::int64_t>();
  });
  db.serve(shop::look, [](pqxx::transaction_base& tx, std::string item) {
    return fly::repo::exec(tx, "SELECT count(*) FROM orders WHERE item = $1", item)[0][0]
        .as<std::int32_t>();
  });
  db.serve(shop::drop, [](pqxx::transaction_base& tx, std::string item) {
    fly::repo::exec(tx, "DELETE FROM orders WHERE item = $1", item);
  });
  db.serve(shop::fill, [](pqxx::transaction_base&, std::int32_t bytes) {
    return std::string(static_cast<std::size_t>(bytes), 'x');
  });
}

/// A node with its database.
struct far_shop {
  far_shop(const std::string& region, const std::string& url, std::vector<std::string> peers = {})
      : far_shop(far_options(region, std::move(peers)), url) {}

  far_shop(cluster::options where, const std::string& url)
      : node(std::move(where)), rpc(node),
        db(std::make_unique<repo::database>(rpc, database_options(url))) {
    serve_shop(*db);
  }

  std::string address() const { return node.self().address; }

  /// What its node knows of each member, for who wonders.
  std::string seen() const {
    std::string result = node.self().region + " sees:";
    for (const auto& it : node.views())
      result += "\n" + it.who.region + " " + std::string{to_string(it.state)} + " " +
                std::string{to_string(it.database.role)} + " " +
                std::to_string(it.services.size()) + " bytes of services; " + it.database.reason;
    return result;
  }

  /// Reads how many orders of `item` the local database has.
  std::int32_t count(const std::string& item) const {
    auto found = db->read([&](pqxx::transaction_base& tx) {
      return fly::repo::exec(tx, "SELECT count(*) FROM orders WHERE item = $1", item)[0][0]
          .as<std::int32_t>();
    });
    REQUIRE_MESSAGE(found, fly::to_string(found.error()));
    return *found;
  }

  cluster::node node;
  rpc::endpoint rpc;
  std::unique_ptr<repo::database> db;
};

/// Three regions, each with its database; syd has the primary.
struct far_shops {
  far_shops()
      : servers(2), syd("syd", servers.primary().url()),
        lax("lax", servers.replica(0).url(), {syd.address()}),
        ams("ams", servers.replica(1).url(), {syd.address(), lax.address()}) {
    servers.primary().sql("CREATE TABLE orders (id bigserial PRIMARY KEY, item text, "
                          "count int CONSTRAINT positive CHECK (count > 0));"
                          "CREATE TABLE names (id bigserial PRIMARY KEY, name text UNIQUE);"
                          "GRANT ALL ON ALL TABLES IN SCHEMA public TO app;"
                          "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO app");
    servers.wait_caught_up();
    for (auto* it : {&syd, &lax, &ams})
      REQUIRE_FALSE(it->node.join());
    for (auto* it : {&syd, &lax, &ams})
      REQUIRE_MESSAGE(knows_primary(*it, "syd"), it->seen());
  }

  /// Waits until `who` sees all three, and one member with a primary, in `region`.
  static bool knows_primary(const far_shop& who, const std::string& region) {
    return eventually([&] {
      int primaries = 0;
      int known = 0;
      for (const auto& it : who.node.views()) {
        known += it.database.role >= cluster::claim::role::replica &&
                 (it.services.size() > 1 || it.state == cluster::presence::self);
        primaries += it.database.role == cluster::claim::role::primary && it.who.region == region;
      }
      return known == 3 && primaries == 1 && who.node.primary_group().size() == 1;
    });
  }

  postgres servers;
  far_shop syd;
  far_shop lax;
  far_shop ams;
};

} // namespace fly::test
