// users: every verb of a repo once, on a table of users and their posts.
#include <chrono>
#include <cstdint>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include <fly/fly.hpp>
#include <pqxx/pqxx>

namespace blog {

enum class role { reader, author };

struct post {
  std::int64_t id = 0;
  std::int64_t user_id = 0;
  std::string title{};
};

struct user {
  std::int64_t id = 0;
  std::string email{};
  std::optional<std::string> name{};
  role is = role::reader;
  std::chrono::system_clock::time_point joined_at{};
  std::vector<post> posts{}; // not a column: filled by preload
};

inline constexpr fly::repo::write<std::int64_t(std::string, std::string)> sign_up{"blog.sign_up"};

} // namespace blog

template <>
inline constexpr std::pair<blog::role, std::string_view> fly::repo::enum_names<blog::role>[] = {
    {blog::role::reader, "reader"}, {blog::role::author, "author"}};

FLY_RECORD(blog::post, "posts", key(id), column(user_id), column(title));
FLY_RECORD(blog::user, "users", key(id), column(email), column(name), column(is, "role"),
           generated(joined_at));

using blog::post;
using blog::user;
using fly::must;
namespace repo = fly::repo;

// A transaction of several statements is a write: it runs whole on the primary, or not at all.
std::int64_t sign_up(pqxx::transaction_base& tx, std::string email, std::string title) {
  repo::within rows{tx};
  auto made = must(rows.insert(user{.email = email, .is = blog::role::author}));
  must(rows.insert(post{.user_id = made.id, .title = title}));
  return made.id;
}

void write_all(const repo::database& db) {
  auto ann = must(db.insert(user{.email = "ann@example.org", .name = "Ann"}));
  std::cout << "insert: " << ann->id << (ann.visible() ? ", readable here\n" : ", on its way\n");
  ann->name = "Anna";
  must(db.update(*ann, &user::name));
  must(db.insert_or_update(user{.email = "ann@example.org", .name = "Anne"}, &user::email));
  auto posts = must(db.insert_all(std::vector<post>{{0, ann->id, "One"}, {0, ann->id, "Two"}}));
  std::cout << "insert_all: " << posts->size() << " posts\n";
  auto bob = must(db.insert(user{.email = "bob@example.org"}));
  auto later =
      must(db.with({.await = false}).update_all<user>("role = 'author'", "id = $1", bob->id));
  must(db.wait_for(later.position(), std::chrono::seconds{5}));
  std::cout << "sign_up: " << *must(fly::rpc_and_wait(db, blog::sign_up, "eve@example.org", "Hi"))
            << '\n';
}

void read_all(const repo::database& db) {
  auto ann = must(db.get_by(&user::email, "ann@example.org"));
  std::cout << "get_by: " << ann.name.value_or("nobody") << '\n';
  std::cout << "get: " << (*db.get<user>(99) ? "somebody\n" : "nobody\n");
  std::cout << "one: " << must(db.one<user>("name IS NULL AND email LIKE $1", "bob%")).email
            << '\n';
  auto users = must(
      db.all<user>({.where = "role = $1", .order_by = "email", .limit = 10}, blog::role::author));
  must(db.preload(users, &user::posts, &post::user_id));
  for (const auto& it : users)
    std::cout << "all: " << it.email << ", " << it.posts.size() << " posts\n";
  std::cout << "aggregate: " << must(db.aggregate(repo::count<post>())) << " posts, the last "
            << must(db.aggregate(repo::max(&post::title))) << '\n';
  std::cout << "exists: " << must(db.exists<user>("email = $1", "' OR true --")) << '\n';
  must(db.stream<post>([](const post& it) { std::cout << "stream: " << it.title << '\n'; },
                       {.order_by = "title"}));
  auto rows = must(db.query("SELECT role, count(*) FROM users GROUP BY role ORDER BY role"));
  std::cout << "query: " << *rows.rows[0][0] << " " << *rows.rows[0][1] << '\n';
  must(db.delete_(must(db.reload(ann))));
  std::cout << "delete_all: " << *must(db.delete_all<post>("user_id = $1", ann.id)) << '\n';
  std::cout << fly::to_string(db.reload(ann).error()) << '\n';
}

int main() try {
  auto where = fly::cluster::options::from_env();
  fly::cluster::node node{where};
  fly::rpc::endpoint rpc{node};
  repo::database db{rpc, repo::options::from_env(where)};
  must(db.serve(blog::sign_up, sign_up));
  must(node.join());

  must(db.execute("CREATE TABLE users (id bigserial PRIMARY KEY, email text UNIQUE NOT NULL, "
                  "name text, role text NOT NULL, joined_at timestamptz NOT NULL DEFAULT now())"));
  must(db.execute("CREATE TABLE posts (id bigserial PRIMARY KEY, user_id bigint, title text)"));
  std::cout << fly::to_string(db.verify<post>()) << '\n';
  must(db.execute("ALTER TABLE posts ALTER user_id SET NOT NULL, ALTER title SET NOT NULL"));
  must(db.verify<user>());
  must(db.verify<post>());
  write_all(db);
  read_all(db);
} catch (const fly::failure& failed) {
  std::cout << failed.what() << '\n';
  return 1;
}
