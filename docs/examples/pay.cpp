// pay KEY ACCOUNT AMOUNT: takes money from an account, once for its key. pay --ask KEY: what became
// of it.
#include <cstdint>
#include <iostream>
#include <string>

#include <fly/fly.hpp>
#include <pqxx/pqxx>

inline constexpr fly::repo::write<std::int64_t(std::string, std::int64_t)> pay{"bank.pay"};

std::int64_t take(pqxx::transaction_base& tx, std::string account, std::int64_t amount) {
  auto rows =
      fly::repo::exec(tx, "UPDATE accounts SET cents = cents - $2 WHERE name = $1 RETURNING cents",
                      account, amount);
  return rows.at(0).at(0).as<std::int64_t>();
}

int main(int argc, char** argv) {
  if (argc < 3)
    return 2;
  auto where = fly::cluster::options::from_env();
  fly::cluster::node node{where};
  fly::rpc::endpoint rpc{node};
  fly::repo::database db{rpc, fly::repo::options::from_env(where)};
  auto failed = [](const caf::error& reason) {
    std::cout << fly::to_string(reason) << '\n';
    return 1;
  };
  if (auto reason = db.serve(pay, take))
    return failed(reason);
  if (auto reason = node.join())
    return failed(reason);

  if (argv[1] == std::string{"--ask"}) {
    auto found = db.outcome(argv[2]);
    if (!found)
      return failed(found.error());
    if (!(*found)->committed) {
      std::cout << "not paid, and never will be\n";
      return 0;
    }
    auto left = (*found)->as(pay);
    std::cout << "paid, " << (left ? *left : -1) << " were left\n";
    return 0;
  }
  if (argc != 4)
    return 2;
  db.execute("CREATE TABLE IF NOT EXISTS accounts (name text PRIMARY KEY, cents bigint)");
  db.execute("INSERT INTO accounts VALUES ($1, 1000) ON CONFLICT DO NOTHING", argv[2]);
  auto left = fly::rpc_and_wait(db.with({.key = argv[1]}), pay, argv[2], std::stoll(argv[3]));
  if (!left)
    return failed(left.error());
  std::cout << **left << " left" << (left->repeated() ? ", paid before" : "") << '\n';
}
