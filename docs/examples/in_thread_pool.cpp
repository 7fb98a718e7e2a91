// fly inside a program with threads of its own: blocking calls, each with its deadline.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <thread>
#include <vector>

#include <fly/fly.hpp>
#include <pqxx/pqxx>

using namespace std::chrono_literals;

inline constexpr fly::repo::write<std::int64_t(std::int64_t)> add_sum{"sums.add"};

int main() {
  auto where = fly::cluster::options::from_env();
  fly::cluster::node node{where};
  fly::rpc::endpoint rpc{node};
  fly::repo::database db{rpc, fly::repo::options::from_env(where)};
  db.serve(add_sum, [](pqxx::transaction_base& tx, std::int64_t n) {
    auto rows = fly::repo::exec(tx, "UPDATE sums SET total = total + $1 RETURNING total", n);
    return rows[0][0].as<std::int64_t>();
  });
  if (auto reason = node.join()) {
    std::cerr << fly::to_string(reason) << '\n';
    return 1;
  }
  if (!db.execute("CREATE TABLE IF NOT EXISTS sums (total bigint)") ||
      !db.execute("DELETE FROM sums") || !db.execute("INSERT INTO sums VALUES (0)"))
    return 1;

  std::atomic<int> next = 0;
  std::vector<std::jthread> pool;
  for (int i = 0; i < 4; ++i)
    pool.emplace_back([&] {
      while (next++ < 100) {
        auto added = fly::rpc_and_wait(db.with({.timeout = 5s}), add_sum, 1);
        if (!added)
          std::cerr << fly::to_string(added.error()) << '\n';
      }
    });
  pool.clear(); // joins

  auto total = db.read([](pqxx::transaction_base& tx) {
    return tx.exec("SELECT total FROM sums")[0][0].as<std::int64_t>();
  });
  std::cout << "total " << (total ? *total : -1) << '\n';
  return total && *total == 100 ? 0 : 1;
}
