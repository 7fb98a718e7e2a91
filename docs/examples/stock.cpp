// stock ITEM COUNT: adds to the stock of an item, and prints what there is of it.
#include <cstdint>
#include <iostream>
#include <string>

#include <fly/fly.hpp>
#include <pqxx/pqxx>

// A type of our own travels as soon as CAF can inspect it.
struct level {
  std::string item;
  std::int64_t count = 0;
};

template <class Inspector>
auto inspect(Inspector& f, level& x) {
  return f(caf::meta::type_name("shop::level"), x.item, x.count);
}

inline constexpr fly::repo::write<level(std::string, std::int64_t)> add_stock{"shop.add_stock"};

level add(pqxx::transaction_base& tx, std::string item, std::int64_t count) {
  auto rows =
      fly::repo::exec(tx,
                      "INSERT INTO stock (item, count) VALUES ($1, $2) "
                      "ON CONFLICT (item) DO UPDATE SET count = stock.count + $2 RETURNING count",
                      item, count);
  return {item, rows[0][0].as<std::int64_t>()};
}

int main(int argc, char** argv) {
  if (argc != 3)
    return 2;
  auto where = fly::cluster::options::from_env();
  fly::cluster::node node{where};
  fly::rpc::endpoint rpc{node};
  fly::repo::database db{rpc, fly::repo::options::from_env(where)};
  auto failed = [](const caf::error& reason) {
    std::cerr << fly::to_string(reason) << '\n';
    return 1;
  };
  if (auto reason = db.serve(add_stock, add))
    return failed(reason);
  if (auto reason = node.join())
    return failed(reason);

  auto made = db.execute("CREATE TABLE IF NOT EXISTS stock "
                         "(item text PRIMARY KEY, count bigint NOT NULL CHECK (count >= 0))");
  if (!made)
    return failed(made.error());
  auto added = fly::rpc_and_wait(db, add_stock, argv[1], std::stoll(argv[2]));
  if (!added) // added.error() says whether nothing ran, it ran, or nobody knows
    return failed(added.error());
  std::cout << (*added)->item << ": " << (*added)->count << (added->visible() ? "" : ", soon")
            << '\n';
}
