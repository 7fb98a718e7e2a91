// Proves that a session which was shown something by a replica sees it on the primary, too, though
// a commit ends there a moment later; and that nobody waits for what only takes long.
#include "fly/repo/ending_commits.hpp"

#include <string>
#include <thread>

#include <doctest/doctest.h>

#include <pqxx/pqxx>

#include "fly/repo/record.hpp"
#include "fly/repo/spot.hpp"
#include "tests/repo/far_shops.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;
using repo::ending_commits;
using repo::is_of_primary;

FLY_RECORD(shop::order, "orders", key(id), column(item), column(count));

TEST_CASE("those that ran at first are waited for, and no later ones") {
  ending_commits commits;
  ending_commits::time_point now{};
  CHECK(commits.look({7, 8}, now));
  CHECK(commits.look({8, 9}, now + 1ms));
  CHECK_FALSE(commits.look({9, 10}, now + 2ms));
}

TEST_CASE("nothing that runs, nothing to wait for") {
  CHECK_FALSE(ending_commits{}.look({}, {}));
}

TEST_CASE("what takes longer than a commit is not waited for") {
  ending_commits commits;
  ending_commits::time_point now{};
  CHECK(commits.look({7}, now));
  CHECK(commits.look({7}, now + ending_commits::longest - 1ms));
  CHECK_FALSE(commits.look({7}, now + ending_commits::longest));
}

TEST_CASE("a position says whether the primary has shown what is there") {
  repo::spot at{
      .seen = {.system = 1, .timeline = 1, .lsn = repo::lsn{0x1000}, .in_recovery = false}};
  CHECK(is_of_primary(at.where()));
  CHECK(at.where().lsn.bytes() == 0xFFF); // only a server that has 0x1000 has more
  at.seen.in_recovery = true;
  CHECK_FALSE(is_of_primary(at.where()));
  at.next_begun = true;
  CHECK_FALSE(is_of_primary(at.where()));
  CHECK(is_of_primary(repo::position{1, 1, repo::lsn{0x1000}, 745})); // a write that was answered
}

TEST_CASE("a session that reads at one place on both keeps that the primary has shown it") {
  repo::spot at{
      .seen = {.system = 1, .timeline = 1, .lsn = repo::lsn{0x1000}, .in_recovery = false}};
  auto primary = at.where();
  at.seen.in_recovery = true;
  repo::session user{at.where()};
  user.read(primary, {});
  CHECK(is_of_primary(*user.position()));
  user.read(at.where(), {});
  CHECK_FALSE(is_of_primary(*user.position()));
}

TEST_CASE("a write does not hide from the primary what a replica has shown before it") {
  repo::session user{repo::position{1, 1, repo::lsn{0x1000}, std::nullopt}};
  user.wrote({1, 1, repo::lsn{0x1100}, 745}, {}, user.now());
  CHECK_FALSE(is_of_primary(*user.position()));
  CHECK(user.position()->xid == 745U);
  CHECK(user.position()->lsn == repo::lsn{0x10FE}); // only a server that has 0x1100 has more
  user.read({1, 1, repo::lsn{0x11FF}, std::nullopt}, {}, user.now());
  CHECK(is_of_primary(*user.position()));
  user.wrote({1, 1, repo::lsn{0x1300}, 746}, {}, user.now());
  CHECK(is_of_primary(*user.position()));
}

TEST_CASE("a read on the primary does not hide what a replica has shown meanwhile") {
  repo::session user;
  auto begun = user.now();
  user.read({1, 1, repo::lsn{0x1000}, std::nullopt}, {}, begun);
  user.read({1, 1, repo::lsn{0x10FF}, std::nullopt}, {}, begun);
  CHECK_FALSE(is_of_primary(*user.position()));
  CHECK(user.position()->lsn == repo::lsn{0x10FE});
  user.read({1, 1, repo::lsn{0x10FF}, std::nullopt}, {}, user.now());
  CHECK(is_of_primary(*user.position()));
}

TEST_CASE_FIXTURE(far_shops, "a session that has read on a replica reads no less on the primary") {
  // In the log, and not ended: it waits for a replica that is not there.
  servers.primary().sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
  servers.primary().sql("SELECT pg_reload_conf()");
  pqxx::connection link{servers.primary().url("postgres")};
  pqxx::nontransaction admin{link};
  std::thread writer{
      [&] { servers.primary().sql("INSERT INTO orders (item, count) VALUES ('pen', 1)"); }};
  auto sees_pen = [](const far_shop& on, const repo::session& user) {
    auto found = on.db->with({.session = user}).exists<shop::order>("item = 'pen'");
    REQUIRE_MESSAGE(found, fly::to_string(found.error()));
    return *found;
  };
  repo::session user;
  CHECK(eventually([&] { return sees_pen(lax, user); }));
  CHECK_FALSE(sees_pen(syd, {})); // a stranger
  bool writes = false;
  SUBCASE("") {}
  SUBCASE("though it has written meanwhile") {
    writes = true;
  }
  if (writes)
    REQUIRE(lax.db->with({.await = false, .session = user})
                .execute("INSERT INTO orders (item, count) "
                         "SELECT set_config('synchronous_commit', 'local', true), 1"));

  std::thread ends{[&] {
    std::this_thread::sleep_for(20ms); // a commit that is slow to end
    admin.exec("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
  }};
  CHECK(sees_pen(syd, user));
  ends.join();
  writer.join();
  CHECK(is_of_primary(*user.position()));
}
