#include <cstdint>
#include <iostream>
#include <string>

#include <fly/fly.hpp>
#include <pqxx/pqxx>

// A write: called by its name on any node, run in one transaction where the writable database is.
inline constexpr fly::repo::write<std::int64_t(std::string, std::int32_t)> place_order{
    "shop.place_order"};

int main() {
  auto where = fly::cluster::options::from_env(); // FLY_REGION, PRIMARY_REGION, FLY_APP_NAME ...
  fly::cluster::node node{where};
  fly::rpc::endpoint rpc{node};
  fly::repo::database db{rpc, fly::repo::options::from_env(where)}; // DATABASE_URL

  db.serve(place_order, [](pqxx::transaction_base& tx, std::string item, std::int32_t count) {
    auto rows = fly::repo::exec(tx, "INSERT INTO orders (item, count) VALUES ($1, $2) RETURNING id",
                                item, count);
    return rows[0][0].as<std::int64_t>();
  });
  if (auto reason = node.join()) { // serve first, then let the others find us
    std::cerr << fly::to_string(reason) << '\n';
    return 1;
  }

  // One statement, run on the primary; returns when the local database has it.
  auto made = db.execute(
      "CREATE TABLE IF NOT EXISTS orders (id bigserial PRIMARY KEY, item text, count int)");
  auto placed = fly::rpc_and_wait(db, place_order, "pen", 2);
  if (!made || !placed) {
    std::cerr << fly::to_string(made ? placed.error() : made.error()) << '\n';
    return 1;
  }

  // A read, always on the local database: it sees the order, however far the primary is.
  auto count = db.read([](pqxx::transaction_base& tx) {
    return tx.exec("SELECT count(*) FROM orders")[0][0].as<std::int64_t>();
  });
  std::cout << "order " << **placed << " of " << (count ? *count : -1) << ", read in "
            << node.my_region() << '\n';
  return count && placed->visible() ? 0 : 1;
}
