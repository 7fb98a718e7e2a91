// checked FOLDER UNTIL: a node whose users write and read until a time (seconds since 1970); what
// they saw is recorded, in a file of its own for each life of the program.
#include <chrono>
#include <csignal>
#include <cstdint>
#include <iostream>
#include <string>
#include <vector>

#include <fly/fly.hpp>
#include <fly/testing/recorder.hpp>
#include <pqxx/pqxx>
#include <unistd.h>

using namespace std::chrono_literals;
using fly::testing::action;
using fly::testing::phase;

// The service's own function, and how its data is read.
inline constexpr fly::repo::write<std::int64_t(std::string, std::string)> add_line{"cart.add_line"};

std::vector<std::string> lines_of(pqxx::transaction_base& tx, const std::string& cart) {
  std::vector<std::string> result;
  for (const auto& row :
       fly::repo::exec(tx, "SELECT item FROM lines WHERE cart = $1 ORDER BY id", cart))
    result.emplace_back(row[0].c_str());
  return result;
}

// One user: adds to a cart and looks at it. Each item is used once, so that it can be found again.
void shop(const fly::repo::database& db, fly::testing::recorder& record, const std::string& cart,
          const std::string& visit) {
  fly::repo::session user;
  for (int i = 1; i <= 5; ++i) {
    auto item = visit + " item " + std::to_string(i);
    auto put = record.begin({.action = action::write,
                             .deadline = 2s,
                             .key = cart,
                             .value = item,
                             .session = visit,
                             .once = item});
    auto added = fly::rpc_and_wait(db.with({.timeout = 2s, .key = put.once, .session = user}),
                                   add_line, cart, item);
    if (added) {
      put.visible = added->visible();
      put.position = to_string(added->position()); // a promotion may lose what is beyond its point
    }
    record.end(put, added ? caf::error{} : added.error());
    if (user.uncertain()) // a promotion may have lost what this user saw: the next one begins anew
      return;

    auto look =
        record.begin({.action = action::read, .deadline = 2s, .key = cart, .session = visit});
    auto lines = db.with({.timeout = 2s, .session = user}).read([&](pqxx::transaction_base& tx) {
      return lines_of(tx, cart);
    });
    if (lines)
      look.values = *lines;
    record.end(look, lines ? caf::error{} : lines.error());
    if (user.uncertain() || (!lines && lines.error() == fly::errc::may_be_lost))
      return;
  }
}

int main(int argc, char** argv) {
  if (argc != 3)
    return 2;
  sigset_t ends; // SIGINT and SIGTERM wait until they are asked for
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);

  auto where = fly::cluster::options::from_env();
  auto life = std::to_string(::getpid());
  fly::testing::recorder record{std::string{argv[1]} + "/" + where.region + "-" + life + ".jsonl",
                                where.region + "/" + life};
  fly::cluster::node node{where};
  fly::rpc::endpoint rpc{node};
  fly::repo::database db{rpc, fly::repo::options::from_env(where)};
  db.serve(add_line, [](pqxx::transaction_base& tx, std::string cart, std::string item) {
    auto rows = fly::repo::exec(tx, "INSERT INTO lines (cart, item) VALUES ($1, $2) RETURNING id",
                                cart, item);
    return rows[0][0].as<std::int64_t>();
  });
  if (node.join())
    return 1;
  auto made = db.once().execute("CREATE TABLE IF NOT EXISTS lines "
                                "(id bigserial PRIMARY KEY, cart text, item text)");
  if (!made)
    std::cerr << fly::to_string(made.error()) << '\n';

  // The carts of a region are the same in each life, so that the last one reads what all wrote.
  std::vector<std::string> carts;
  for (int i = 1; i <= 10; ++i)
    carts.push_back(where.region + " " + std::to_string(i));
  std::chrono::system_clock::time_point end{std::chrono::seconds{std::stoll(argv[2])}};
  for (std::size_t i = 0; std::chrono::system_clock::now() < end; ++i)
    shop(db, record, carts[i % carts.size()], where.region + "/" + life + "/" + std::to_string(i));
  for (const auto& cart : carts) { // what is there when all is over, as the primary has it
    auto lines = db.with({.level = fly::repo::level::strong}).read([&](pqxx::transaction_base& tx) {
      return lines_of(tx, cart);
    });
    if (lines)
      record.note({.phase = phase::ok, .action = action::last, .key = cart, .values = *lines});
  }
  std::cout << "done" << std::endl;
  int number = 0;
  sigwait(&ends, &number);
}
