// Proves what docs/operations.md says that callers see while a database is paused, behind, rebuilt,
// down or full, and what the server's own views show of a node.
#include <chrono>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include <sys/mount.h>
#include <unistd.h>

#include "fly/repo/connection.hpp"
#include "tests/repo/far_shops.hpp"
#include "tests/support/postgres_process.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;
using repo::database_role;
using clock_type = std::chrono::steady_clock;

namespace {

bool writes_again(const far_shop& from) {
  return eventually([&] {
    auto placed = rpc_and_wait(from.db->with({.timeout = 1s}), shop::place, "again", 1);
    return placed && placed->visible();
  });
}

} // namespace

TEST_CASE_FIXTURE(far_shops, "operations: a primary without room for a connection stays primary") {
  REQUIRE(rpc_and_wait(*lax.db, shop::place, "before", 1));
  std::vector<std::unique_ptr<repo::connection>> crowd;
  caf::error full;
  while (!full && crowd.size() < 500) {
    auto opened = repo::connection::open({.url = servers.primary().url()}, clock_type::now() + 5s);
    if (opened)
      crowd.push_back(std::move(*opened));
    else
      full = opened.error();
  }

  CHECK(details_of(full).at("sqlstate") == "53300");
  CHECK(text_of(full).find(".c:") == std::string::npos); // the place in the server's source
  auto until = clock_type::now() + 5s; // longer than from one fresh look to the next
  while (clock_type::now() < until) {
    CHECK(rpc_and_wait(lax.db->with({.timeout = 1s}), shop::place, "meanwhile", 1));
    std::this_thread::sleep_for(200ms);
  }
  CHECK(syd.db->role().role == database_role::primary);

  std::vector<std::future<bool>> reads; // more at a time than there are connections
  for (int i = 0; i < 6; ++i)
    reads.push_back(std::async(std::launch::async, [&] {
      auto read = syd.db->with({.timeout = 10s}).read([](pqxx::transaction_base& tx) {
        tx.exec("SELECT pg_sleep(0.1)");
      });
      return static_cast<bool>(read);
    }));
  for (auto& each : reads)
    CHECK(each.get());
}

TEST_CASE_FIXTURE(far_shops, "operations: a paused replica reads old data, writes are late there") {
  REQUIRE(rpc_and_wait(*lax.db, shop::place, "old", 1));
  servers.replica(0).pause_replay();

  auto placed = rpc_and_wait(lax.db->with({.timeout = 1500ms}), shop::place, "new", 1);

  REQUIRE(placed);
  CHECK_FALSE(placed->visible());
  CHECK(code_of(placed->late()) == errc::not_visible);
  CHECK(lax.count("old") == 1);
  CHECK(lax.count("new") == 0);
  CHECK_FALSE(ams.db->wait_for(placed->position(), 5s)); // the other region is not affected
  CHECK(ams.count("new") == 1);
  servers.replica(0).resume_replay();
  CHECK_FALSE(lax.db->wait_for(placed->position(), 5s));
  CHECK(lax.count("new") == 1);
}

TEST_CASE_FIXTURE(far_shops,
                  "operations: a replica far behind makes its own region wait, and tells") {
  servers.replica(0).sql("ALTER SYSTEM SET recovery_min_apply_delay = '1500ms'");
  servers.replica(0).sql("SELECT pg_reload_conf()");
  REQUIRE(eventually(
      [&] { return servers.replica(0).sql("SHOW recovery_min_apply_delay") == "1500ms"; }));

  auto begun = clock_type::now();
  auto waited = rpc_and_wait(*lax.db, shop::place, "waited", 1);
  auto took = clock_type::now() - begun;
  auto late = rpc_and_wait(lax.db->with({.timeout = 800ms}), shop::place, "late", 1);

  REQUIRE(waited);
  CHECK(waited->visible());
  CHECK(took > 1200ms);
  CHECK(took < 4500ms);
  REQUIRE(late);
  CHECK_FALSE(late->visible());
  CHECK(eventually([&] { return lax.db->role().server.lag > 100ms; }));
  begun = clock_type::now();
  CHECK(rpc_and_wait(*ams.db, shop::place, "elsewhere", 1));
  CHECK(clock_type::now() - begun < 1200ms);
}

TEST_CASE_FIXTURE(far_shops,
                  "operations: a replica that is rebuilt is used as soon as it answers") {
  auto before = rpc_and_wait(*lax.db, shop::place, "before", 1);
  REQUIRE(before);
  servers.replica(0).stop();
  auto meanwhile = rpc_and_wait(lax.db->with({.timeout = 1500ms}), shop::place, "meanwhile", 1);
  REQUIRE(meanwhile);
  CHECK_FALSE(meanwhile->visible());
  auto read = lax.db->read([](pqxx::transaction_base& tx) { tx.exec("SELECT 1"); });
  CHECK(read.error() == errc::database_unavailable);

  servers.rebuild(servers.replica(0), servers.primary());

  CHECK_FALSE(lax.db->wait_for(meanwhile->position(), 10s));
  CHECK_FALSE(lax.db->wait_for(before->position(), 5s)); // a token of then holds
  REQUIRE(eventually([&] { return lax.db->role().role == database_role::replica; }));
  CHECK(lax.count("meanwhile") == 1);
  CHECK(writes_again(lax));
}

TEST_CASE_FIXTURE(far_shops, "operations: while the primary is down reads go on, and nothing ran") {
  REQUIRE(rpc_and_wait(*lax.db, shop::place, "pen", 1));
  servers.primary().stop();
  // The first to find out may have been under way; from then on it is known.
  REQUIRE(eventually([&] { return syd.db->role().role == database_role::unreachable; }));

  auto begun = clock_type::now();
  auto placed = rpc_and_wait(lax.db->with({.timeout = 500ms}), shop::place, "ink", 1);
  auto took = clock_type::now() - begun;

  REQUIRE_FALSE(placed);
  CHECK(effect_of(placed.error()) == effect::nothing_ran);
  CHECK(took < 2s);
  CHECK(lax.count("pen") == 1);
  auto waiting = std::async(std::launch::async, [&] {
    return rpc_and_wait(lax.db->with({.timeout = 20s}), shop::place, "patient", 1);
  });
  servers.primary().start();
  auto patient = waiting.get();
  CHECK_MESSAGE(patient, (patient ? "" : fly::to_string(patient.error())));
  CHECK(lax.count("ink") == 0);
}

namespace {

/// A table of the primary on a file system of 2 MB. The replica keeps its copy on its own.
class small_disk {
public:
  small_disk(postgres& servers, const std::string& table) {
    auto& primary = servers.primary();
    primary.sql("ALTER SYSTEM SET allow_in_place_tablespaces = on");
    primary.sql("SELECT pg_reload_conf()");
    REQUIRE(eventually([&] { return primary.sql("SHOW allow_in_place_tablespaces") == "on"; }));
    primary.sql("CREATE TABLESPACE small LOCATION ''");
    auto oid = primary.sql("SELECT oid FROM pg_tablespace WHERE spcname = 'small'");
    auto folder = std::filesystem::path{primary.sql("SHOW data_directory")} / "pg_tblspc" / oid;
    folder_ = std::filesystem::directory_iterator {
      folder
      } -> path();
    mounted_ = ::mount("tmpfs", folder_.c_str(), "tmpfs", 0, "size=2m,mode=0700") == 0;
    if (!mounted_)
      return;
    give_to_postgres(folder_);
    primary.sql("ALTER TABLE " + table + " ALTER item SET STORAGE EXTERNAL"); // not compressed
    primary.sql("ALTER TABLE " + table + " SET TABLESPACE small");
    servers.wait_caught_up();
  }

  ~small_disk() {
    if (mounted_)
      ::umount2(folder_.c_str(), MNT_DETACH);
  }

  bool mounted() const noexcept { return mounted_; }

  void grow() const {
    REQUIRE(::mount("tmpfs", folder_.c_str(), "tmpfs", MS_REMOUNT, "size=64m") == 0);
  }

private:
  std::filesystem::path folder_;
  bool mounted_ = false;
};

} // namespace

TEST_CASE_FIXTURE(far_shops,
                  "operations: a full primary refuses by SQLSTATE 53100, nothing stays") {
  small_disk disk{servers, "orders"};
  if (!disk.mounted()) {
    MESSAGE("skipped: no file system can be mounted here");
    return;
  }
  std::string page(8000, 'x');

  caf::error refused;
  int committed = 0;
  for (; committed < 2000 && !refused; ++committed)
    if (auto placed = rpc_primary(*lax.db, shop::place, page + std::to_string(committed), 1);
        !placed)
      refused = placed.error();

  REQUIRE(refused == errc::sql_failed);
  CHECK(details_of(refused)["sqlstate"] == "53100");
  CHECK(effect_of(refused) == effect::ran);
  CHECK(lax.count("pen") == 0);                           // reads go on
  CHECK(rpc_and_wait(*lax.db, shop::get_or_create, "x")); // what has room does, too
  CHECK(syd.db->role().role == database_role::primary);   // no reason to move
  disk.grow();
  CHECK(writes_again(lax));
  CHECK(servers.primary().sql("SELECT count(*) FROM orders WHERE item LIKE 'xxx%'") ==
        std::to_string(committed - 1));
}

TEST_CASE_FIXTURE(far_shops, "operations: the server's views name node and write") {
  constexpr repo::write<std::string()> who{"shop.who"};
  for (auto* it : {&syd, &lax})
    it->db->serve(who, [](pqxx::transaction_base& tx) {
      auto rows = tx.exec("SELECT application_name FROM pg_stat_activity "
                          "WHERE pid = pg_backend_pid()");
      return std::string{rows[0][0].c_str()};
    });

  caf::expected<repo::committed<std::string>> name = caf::error{};
  REQUIRE(eventually([&] {
    name = rpc_primary(lax.db->with({.timeout = 500ms}), who);
    return static_cast<bool>(name);
  }));

  auto base = "fly " + syd.node.self().id;
  CHECK(**name == (base + " shop.who").substr(0, 63));
  auto count = [&](const std::string& shown) {
    return servers.primary().sql("SELECT count(*) > 0 FROM pg_stat_activity WHERE "
                                 "application_name = left('" +
                                 shown + "', 63)");
  };
  CHECK(count(base + " shop.who") == "f"); // not after it
  auto read = syd.db->read([](pqxx::transaction_base& tx) {
    return std::string{tx.exec("SHOW application_name")[0][0].c_str()};
  });
  REQUIRE(read);
  CHECK(*read == base.substr(0, 63));
  CHECK(count(base + " tracker") == "t");
}

TEST_CASE("operations: two nodes on one writable server, one of which only reads") {
  postgres servers;
  servers.primary().sql("CREATE TABLE orders (id bigserial PRIMARY KEY, item text, count int); "
                        "GRANT ALL ON ALL TABLES IN SCHEMA public TO app;"
                        "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO app");
  far_shop syd{"syd", servers.primary().url()};
  cluster::node node{far_options("lax", {syd.address()})};
  rpc::endpoint rpc{node};
  auto settings = database_options(servers.primary().url());
  settings.read_only = true;
  repo::database lax{rpc, settings};
  serve_shop(lax);
  REQUIRE_FALSE(syd.node.join());
  REQUIRE_FALSE(node.join());
  REQUIRE(eventually([&] {
    auto group = node.primary_group();
    return group.size() == 1 && group[0].region == "syd" &&
           lax.role().role == database_role::replica;
  }));

  auto placed = rpc_and_wait(lax, shop::place, "pen", 1);

  REQUIRE_MESSAGE(placed, fly::to_string(placed.error()));
  CHECK(placed->visible());
  CHECK_FALSE(node.is_primary());
  // A connection that was handed around fly: the mistake shows before production.
  auto refused = lax.read([](pqxx::transaction_base& tx) {
    tx.exec("INSERT INTO orders (item, count) VALUES ('ink', 1)");
  });
  CHECK(details_of(refused.error())["sqlstate"] == "25006");
  auto session = lax.read([](pqxx::transaction_base& tx) {
    return std::string{tx.exec("SHOW default_transaction_read_only")[0][0].c_str()};
  });
  CHECK(*session == "on");
}
