// seen: a user whose only luggage between two requests is a cookie.
#include <chrono>
#include <cstdint>
#include <iostream>
#include <string>

#include <fly/fly.hpp>
#include <pqxx/pqxx>

namespace shop {

struct order {
  std::int64_t id = 0;
  std::string item{};
};

} // namespace shop

FLY_RECORD(shop::order, "orders", key(id), column(item));

using fly::must;
using shop::order;
using namespace std::chrono_literals;
namespace repo = fly::repo;

// What a handler of HTTP does: header in, header out.
std::string post_order(const repo::database& db, const std::string& cookie_header) {
  repo::session_cookie cookie{db.tokens()};
  auto [user, problem] = cookie.read(cookie_header);
  if (problem)
    std::cout << fly::to_string(problem) << '\n'; // the user goes on with a fresh session
  must(db.with({.await = false, .session = user}).insert(order{.item = "pen"}));
  return cookie.write(user); // Set-Cookie
}

void get_orders(const repo::database& db, const std::string& cookie_header) {
  repo::session_cookie cookie{db.tokens()};
  auto [user, problem] = cookie.read(cookie_header);
  repo::read_report report;
  auto mine = db.with({.session = user,
                       .otherwise = repo::otherwise::primary,
                       .patience = 50ms,
                       .report = &report});
  std::cout << must(mine.all<order>()).size() << " orders, read in " << report.region << ", "
            << to_string(report.obtained) << '\n';
}

int main() try {
  auto where = fly::cluster::options::from_env();
  fly::cluster::node node{where};
  fly::rpc::endpoint rpc{node};
  repo::database db{rpc, repo::options::from_env(where)};
  must(node.join());
  must(db.execute("CREATE TABLE orders (id bigserial PRIMARY KEY, item text NOT NULL)"));

  auto set_cookie = post_order(db, "theme=dark; fly_session=forged");
  std::cout << set_cookie.substr(set_cookie.find(';') + 2) << '\n';
  auto cookie = set_cookie.substr(0, set_cookie.find(';')); // what the browser sends next time
  get_orders(db, "theme=dark; " + cookie);

  auto fresh = must(db.with({.level = repo::level::bounded(2s)}).get<order>(1));
  std::cout << fresh.item << '\n';
  auto wrong = db.with({.level = repo::level::bounded(0s)}).get<order>(1);
  std::cout << fly::to_string(wrong.error()) << '\n';
  std::cout << fly::to_string(repo::parse_level("fresh").error()) << '\n';
} catch (const fly::failure& failed) {
  std::cout << failed.what() << '\n';
  return 1;
}
