// book: the guestbook of a fly_postgres user, ported.
#include <cstdint>
#include <iostream>
#include <string>
#include <vector>

#include <fly/fly.hpp>
#include <pqxx/pqxx>

using fly::must;
using fly::repo::bound_database;

struct entry {
  std::int64_t id = 0;
  std::string author{};
  std::string text{};
};

FLY_RECORD(entry, "entries", key(id), column(author), column(text));

// -- the business code ----------------------------------------------------------------------------

namespace book {

entry sign(const bound_database& repo, std::string author, std::string text) {
  return *must(repo.insert(entry{.author = author, .text = text}));
}

std::vector<entry> newest(const bound_database& repo, std::int64_t count) {
  return must(repo.all<entry>({.order_by = "id DESC", .limit = count}));
}

entry find(const bound_database& repo, std::int64_t id) {
  return must(repo.get<entry>(id));
}

std::int64_t count_by(const bound_database& repo, std::string author) {
  return must(repo.aggregate(fly::repo::count<entry>(), "author = $1", author));
}

entry correct(const bound_database& repo, entry it, std::string text) {
  it.text = text;
  return *must(repo.update(it));
}

entry strike(const bound_database& repo, entry it) {
  return *must(repo.delete_(it));
}

} // namespace book

// -- what runs it ---------------------------------------------------------------------------------

int main() try {
  auto where = fly::cluster::options::from_env();
  fly::cluster::node node{where};
  fly::rpc::endpoint rpc{node};
  fly::repo::database db{rpc, fly::repo::options::from_env(where)};
  must(node.join());
  must(db.execute("CREATE TABLE entries (id bigserial PRIMARY KEY, author text NOT NULL, "
                  "text text NOT NULL)"));

  // The user of this request: on another node, the next one takes it out of a cookie.
  bound_database repo = db.with({.session = fly::repo::session{}});
  auto hello = book::sign(repo, "ann", "helo");
  book::sign(repo, "bob", "me too");
  book::correct(repo, hello, "hello");
  for (const auto& it : book::newest(repo, 10))
    std::cout << it.author << ": " << it.text << '\n';
  std::cout << book::count_by(repo, "ann") << " by ann\n";
  std::cout << "struck: " << book::strike(repo, book::find(repo, hello.id)).text << '\n';
  book::find(repo, hello.id);
} catch (const fly::failure& failed) {
  std::cout << failed.what() << '\n';
}
