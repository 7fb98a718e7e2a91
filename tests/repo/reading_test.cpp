// Proves the levels of reading with three nodes and three real databases, of which some are late:
// what each promises, where it is read, and what becomes of it where that cannot be had.
#include "fly/repo/level_reader.hpp"

#include <chrono>
#include <csignal>
#include <future>
#include <string>
#include <thread>

#include <doctest/doctest.h>

#include <caf/event_based_actor.hpp>

#include "fly/repo/record.hpp"
#include "fly/repo/sandbox.hpp"
#include "fly/repo/session_cookie.hpp"
#include "tests/repo/far_shops.hpp"
#include "tests/support/round_robin.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;
using repo::level;
using repo::otherwise;

FLY_RECORD(shop::order, "orders", key(id), column(item), column(count));

namespace {

/// Places an order from `on`, without waiting for its database.
repo::position place(const far_shop& on, const std::string& item) {
  auto placed = rpc_primary(*on.db, shop::place, item, 1);
  REQUIRE_MESSAGE(placed, fly::to_string(placed.error()));
  return placed->position();
}

std::string said(const caf::error& reason) {
  return fly::to_string(reason);
}

/// Resumes replay after a while, in a thread.
struct later {
  later(postgres_server& server, std::chrono::milliseconds after)
      : thread{[&server, after] {
          std::this_thread::sleep_for(after); // a replica that is late
          server.resume_replay();
        }} {}
  ~later() { thread.join(); }

  std::thread thread;
};

bool has(const caf::expected<bool>& found) {
  REQUIRE_MESSAGE(found, said(found.error()));
  return *found;
}

} // namespace

TEST_CASE_FIXTURE(far_shops, "a session reads what it wrote, however late the replica is") {
  servers.replica(0).pause_replay();
  repo::session user;
  auto mine = lax.db->with({.await = false, .session = user});
  REQUIRE(mine.insert(shop::order{.item = "pen", .count = 1}));
  REQUIRE(user.position());
  CHECK_FALSE(has(lax.db->exists<shop::order>("item = 'pen'"))); // nobody's session: as it comes
  auto late =
      lax.db->with({.timeout = 1000ms, .session = user}).exists<shop::order>("item = 'pen'");
  REQUIRE_FALSE(late);
  CHECK_MESSAGE(late.error() == errc::not_visible, said(late.error()));
  CHECK(text_of(late.error()).find(to_string(*user.position())) != std::string::npos);

  later resumes{servers.replica(0), 300ms};
  repo::read_report report;
  CHECK(
      has(lax.db->with({.session = user, .report = &report}).exists<shop::order>("item = 'pen'")));
  CHECK(report.member == lax.node.self().id);
  CHECK(report.region == "lax");
  CHECK_FALSE(report.primary);
  CHECK(report.obtained == level::session);
  CHECK(report.server.ends_with(":" + std::to_string(servers.replica(0).port())));
  REQUIRE(report.where);
  CHECK(report.where->lsn >= user.position()->lsn);
  CHECK(mine.read([](pqxx::transaction_base& tx) { return tx.exec("SELECT 1").size(); }));
}

TEST_CASE_FIXTURE(far_shops, "a session does not go back in time on another node") {
  servers.replica(1).pause_replay(); // ams is late
  place(syd, "pen");
  servers.wait_caught_up(servers.replica(0), servers.primary());
  repo::session user;
  CHECK(has(lax.db->with({.session = user}).exists<shop::order>("item = 'pen'")));
  REQUIRE(user.position()); // of what was read

  auto token = lax.db->token(*user.position());
  repo::session elsewhere{*ams.db->parse_token(token)};
  auto late = ams.db->with({.timeout = 1000ms, .session = elsewhere}).all<shop::order>();
  REQUIRE_FALSE(late);
  CHECK(late.error() == errc::not_visible);
  int ran = 0;
  auto run =
      ams.db->with({.timeout = 1000ms, .session = elsewhere}).read([&](pqxx::transaction_base&) {
        return ++ran;
      });
  CHECK_FALSE(run);
  CHECK(ran == 0);

  later resumes{servers.replica(1), 200ms};
  CHECK(has(ams.db->with({.session = elsewhere}).exists<shop::order>("item = 'pen'")));
}

TEST_CASE_FIXTURE(far_shops, "what others have seen of the server is not asked before a read") {
  auto& replica = servers.replica(0);
  replica.sql("ALTER SYSTEM SET log_statement = 'all'");
  replica.sql("SELECT pg_reload_conf()");
  repo::session user;
  auto mine = lax.db->with({.session = user});
  auto is_asked = [&](const std::string& item) {
    CHECK(has(mine.exists<shop::order>("item = $1", item)));
    auto log = replica.log();
    auto begin = log.rfind("fly_query_begin");
    return begin == std::string::npos ||
           log.find("fly_spot_reached", begin) < log.find("fly_one_commit", begin);
  };
  REQUIRE(mine.insert(shop::order{.item = "pen", .count = 1}));
  CHECK(eventually([&] { return !is_asked("pen"); })); // once the connection is old enough
  CHECK(eventually([&] {                               // the wait has told that it is there
    REQUIRE(mine.insert(shop::order{.item = "ink", .count = 1}));
    return !is_asked("ink");
  }));

  CHECK(eventually([&] { // as long as nobody has looked since
    servers.primary().sql("INSERT INTO orders (item, count) VALUES ('cup', 1)");
    servers.wait_caught_up(replica, servers.primary());
    auto reached = repo::lsn::parse(servers.primary().sql("SELECT pg_current_wal_flush_lsn()"));
    user.read({.system = user.position()->system, .timeline = 1, .lsn = *reached}, {});
    return is_asked("cup");
  }));
}

TEST_CASE_FIXTURE(far_shops, "a session does not go back with a replica that crashed") {
  auto& replica = servers.replica(0);
  repo::session user;
  auto mine = lax.db->with({.timeout = 1500ms, .session = user});
  for (const char* item : {"pen", "ink"})
    REQUIRE(mine.insert(shop::order{.item = item, .count = 1}));
  CHECK(has(mine.exists<shop::order>("item = 'ink'")));

  // What it has on disk is older, and what it replays again waits for this.
  replica.sql("ALTER SYSTEM SET recovery_min_apply_delay = '1h'");
  replica.sql("SELECT pg_reload_conf()");
  auto victim = replica.sql("SELECT pid FROM pg_stat_activity WHERE backend_type = "
                            "'walreceiver'");
  REQUIRE(::kill(std::stoi(victim), SIGKILL) == 0);
  bool went_back = false;
  for (auto until = std::chrono::steady_clock::now() + 10s;
       !went_back && std::chrono::steady_clock::now() < until;) {
    auto found = mine.exists<shop::order>("item = 'ink'");
    CHECK_MESSAGE((!found || *found), "it has forgotten what it had shown");
    went_back = !found && found.error() == errc::not_visible;
  }
  CHECK(went_back);
}

TEST_CASE_FIXTURE(far_shops, "a record that is just being replayed counts as read") {
  place(syd, "pen");
  servers.wait_caught_up(servers.replica(0), servers.primary());
  // A snapshot that needs the row holds replay up inside the record that removes it.
  pqxx::connection other{servers.replica(0).url()};
  pqxx::nontransaction holder{other};
  holder.exec("BEGIN ISOLATION LEVEL REPEATABLE READ");
  holder.exec("SELECT * FROM orders");
  servers.primary().sql("DELETE FROM orders");
  servers.primary().sql("VACUUM orders");

  repo::read_report report;
  auto eventual = lax.db->with({.level = level::eventual, .report = &report});
  CHECK(eventually([&] {
    auto held = repo::lsn::parse(servers.replica(0).sql("SELECT pg_last_wal_replay_lsn()"));
    return eventual.query("SELECT 1") && held && report.where &&
           report.where->lsn.bytes() == held->bytes() + 1;
  }));
}

TEST_CASE_FIXTURE(far_shops, "where the local replica is late a policy sends the read elsewhere") {
  servers.replica(0).pause_replay();
  repo::session user{place(lax, "pen")};
  servers.wait_caught_up(servers.replica(1), servers.primary());
  repo::read_report report;
  auto mine = lax.db->with(
      {.session = user, .otherwise = otherwise::primary, .patience = 50ms, .report = &report});

  auto orders = mine.all<shop::order>("item = $1", "pen");
  REQUIRE_MESSAGE(orders, said(orders.error()));
  CHECK(orders->size() == 1);
  CHECK(report.region == "syd");
  CHECK(report.primary);
  CHECK(report.obtained == level::strong);
  CHECK(report.lag == 0us);

  // ams is there already, by its own announcement.
  auto announced = [&] {
    for (const auto& it : lax.node.views())
      if (it.who.region == "ams")
        return it.database.lsn >= user.position()->lsn.bytes();
    return false;
  };
  REQUIRE(eventually(announced, 10s));
  auto near = lax.db->with(
      {.session = user, .otherwise = otherwise::replica, .patience = 0ms, .report = &report});
  auto found = near.get<shop::order>(1);
  REQUIRE_MESSAGE(found, said(found.error()));
  CHECK((*found)->item == "pen");
  CHECK(report.region == "ams");
  CHECK_FALSE(report.primary);
  CHECK(report.obtained == level::session);
  CHECK(*near.aggregate(repo::count<shop::order>()) == 1);
  CHECK(near.query("SELECT item FROM orders")->rows[0][0] == "pen");
  CHECK(near.reload(**found)->item == "pen");
  CHECK(*near.one<shop::order>("item = $1", "nothing") == std::nullopt);
}

TEST_CASE_FIXTURE(far_shops,
                  "what runs elsewhere only reads, and its error is the statement's own") {
  servers.replica(0).pause_replay();
  repo::session user{place(lax, "pen")};
  auto mine = lax.db->with({.session = user, .otherwise = otherwise::primary, .patience = 0ms});

  auto written = mine.query("DELETE FROM orders");
  REQUIRE_FALSE(written);
  CHECK(written.error() == errc::sql_failed);
  CHECK(details_of(written.error()).at("sqlstate") == "25006");
  auto wrong = mine.query("SELECT nothing FROM nowhere");
  REQUIRE_FALSE(wrong);
  CHECK(details_of(wrong.error()).at("sqlstate") == "42P01");
  CHECK(servers.primary().sql("SELECT count(*) FROM orders") == "1");
}

TEST_CASE_FIXTURE(far_shops, "strong reads all that was committed before the call") {
  repo::read_report report;
  for (int i = 0; i < 20; ++i) {
    auto item = "pen" + std::to_string(i);
    servers.primary().sql("INSERT INTO orders (item, count) VALUES ('" + item + "', 1)");
    CHECK(has(lax.db->with({.level = level::strong, .report = &report})
                  .exists<shop::order>("item = $1", item)));
    CHECK(report.region == "lax"); // it waited here for what the primary had
    CHECK(report.obtained == level::strong);
    CHECK(report.lag.value_or(1h) < 5s);
    CHECK(has(syd.db->with({.level = level::strong, .report = &report})
                  .exists<shop::order>("item = $1", item)));
    CHECK(report.primary);
  }
  servers.replica(0).pause_replay();
  servers.primary().sql("INSERT INTO orders (item, count) VALUES ('late', 1)");
  auto late = lax.db->with({.timeout = 300ms, .level = level::strong}).all<shop::order>();
  CHECK_FALSE(late);
  CHECK(
      has(lax.db->with({.level = level::strong, .otherwise = otherwise::primary, .report = &report})
              .exists<shop::order>("item = 'late'")));
  CHECK(report.region == "syd");
}

TEST_CASE_FIXTURE(far_shops, "bounded is refused where the replica is later than that, by what the "
                             "primary had") {
  auto bounded = [&](std::chrono::milliseconds lag, std::chrono::milliseconds timeout = 5s) {
    return lax.db->with({.timeout = timeout, .level = level::bounded(lag)})
        .exists<shop::order>("item = 'pen'");
  };
  // A quiet primary: the last commit may be old, and nothing is late.
  CHECK_FALSE(has(bounded(1ms)));
  std::this_thread::sleep_for(50ms); // so that what is known is older than the bound
  CHECK_FALSE(has(bounded(20ms)));

  // Paused, and has all that there is, if the primary writes nothing of its own meanwhile.
  CHECK(eventually([&] {
    servers.replica(0).resume_replay();
    servers.wait_caught_up();
    servers.replica(0).pause_replay();
    auto found = bounded(20ms, 300ms);
    return found && !*found;
  }));
  servers.primary().sql("INSERT INTO orders (item, count) VALUES ('pen', 1)");
  CHECK_FALSE(has(bounded(1min))); // what it had a minute ago is there
  REQUIRE(eventually([&] { return !bounded(20ms, 300ms); }));
  CHECK(bounded(20ms, 300ms).error() == errc::not_visible);
  servers.replica(0).resume_replay();
  repo::read_report report;
  CHECK(has(lax.db->with({.level = level::bounded(20ms), .report = &report})
                .exists<shop::order>("item = 'pen'")));
  REQUIRE(report.lag);
  CHECK(*report.lag < 5s);
  CHECK(report.obtained == level::bounded(20ms));
}

TEST_CASE_FIXTURE(far_shops, "without a primary bounded says so, and eventual goes on") {
  servers.primary().stop();
  REQUIRE(eventually([&] { return lax.node.primary_group().empty(); }, 10s));

  auto late = lax.db->with({.timeout = 1000ms, .level = level::bounded(1s)}).all<shop::order>();
  REQUIRE_FALSE(late);
  CHECK_MESSAGE(late.error() == errc::no_primary, said(late.error()));
  CHECK(lax.db->all<shop::order>());
  servers.primary().start();
}

TEST_CASE_FIXTURE(far_shops, "where the local database is down reads fail clearly, or go elsewhere "
                             "where that is allowed") {
  place(lax, "pen");
  servers.wait_caught_up();
  servers.replica(0).stop();

  auto here = lax.db->with({.timeout = 1s}).all<shop::order>();
  REQUIRE_FALSE(here);
  CHECK_MESSAGE(here.error() == errc::database_unavailable, said(here.error()));
  repo::read_report report;
  auto near = lax.db->with({.otherwise = otherwise::replica, .report = &report});
  CHECK(has(near.exists<shop::order>("item = 'pen'")));
  CHECK(report.region == "ams");
  auto far = lax.db->with({.otherwise = otherwise::primary, .report = &report});
  CHECK(has(far.exists<shop::order>("item = 'pen'")));
  CHECK(report.region == "syd");
  auto lambda = far.read([](pqxx::transaction_base&) { return 1; }); // cannot travel
  CHECK_FALSE(lambda);
  servers.replica(0).start();
}

TEST_CASE_FIXTURE(far_shops, "where the local server is silent a read goes elsewhere in time") {
  place(lax, "pen");
  servers.wait_caught_up();
  repo::read_report report;
  auto far = lax.db->with({.timeout = 6s, .otherwise = otherwise::primary, .report = &report});
  auto slow = far.query("SELECT pg_sleep(0.7)"); // longer than patience, and answered here
  REQUIRE_MESSAGE(slow, said(slow.error()));
  CHECK(report.region == "lax");

  servers.replica(0).freeze();
  for (int i = 0; i < 3; ++i) { // over the connection that is there, and without one
    auto begun = std::chrono::steady_clock::now();
    CHECK(has(far.exists<shop::order>("item = 'pen'")));
    CHECK(report.region == "syd");
    CHECK(std::chrono::steady_clock::now() - begun < 4s);
  }
  servers.replica(0).thaw();
}

TEST_CASE_FIXTURE(far_shops,
                  "an option that cannot be used is an error of the read, and nothing ran") {
  auto nobody = lax.db->with({.level = level::session}).all<shop::order>();
  REQUIRE_FALSE(nobody);
  CHECK(nobody.error() == errc::invalid_argument);
  int ran = 0;
  auto backwards = lax.db->with({.level = level::bounded(-1s)}).read([&](pqxx::transaction_base&) {
    return ++ran;
  });
  REQUIRE_FALSE(backwards);
  CHECK(backwards.error() == errc::invalid_argument);
  CHECK(ran == 0);
  repo::session foreign{{.system = 1, .timeline = 1, .lsn = repo::lsn{1}}};
  auto of_another = lax.db->with({.session = foreign}).all<shop::order>();
  REQUIRE_FALSE(of_another);
  CHECK(of_another.error() == errc::foreign_position);
}

TEST_CASE_FIXTURE(far_shops, "a session goes on over a promotion, and reads on both sides of it") {
  auto has_schema = "SELECT to_regclass('fly.timeline') IS NOT NULL";
  REQUIRE(eventually([&] { return servers.primary().sql(has_schema) == "t"; }));
  repo::session user;
  REQUIRE(ams.db->with({.session = user}).insert(shop::order{.item = "before", .count = 1}));
  servers.wait_caught_up();
  servers.replica(0).promote(); // syd's server stays alive, and feeds ams on
  for (auto* it : {&syd, &lax, &ams})
    REQUIRE(eventually([&] { return it->node.primary().timeline == 2; }));

  auto at_lax = lax.db->with({.session = user});
  CHECK(has(at_lax.exists<shop::order>("item = 'before'")));
  REQUIRE(at_lax.insert(shop::order{.item = "after", .count = 1}));
  REQUIRE(user.position());
  CHECK(user.position()->timeline == 2);
  CHECK_FALSE(user.uncertain());
  auto after = [&](const far_shop& on, otherwise way) {
    return on.db
        ->with({.timeout = way == otherwise::wait ? 300ms : 5000ms,
                .session = user,
                .otherwise = way,
                .patience = 0ms})
        .exists<shop::order>("item = 'after'");
  };
  CHECK(has(after(lax, otherwise::wait)));
  auto late = after(ams, otherwise::wait); // it may come
  REQUIRE_FALSE(late);
  CHECK_MESSAGE(late.error() == errc::not_visible, said(late.error()));
  auto never = after(syd, otherwise::wait); // it was left behind
  REQUIRE_FALSE(never);
  CHECK_MESSAGE(never.error() == errc::foreign_position, said(never.error()));
  CHECK(has(after(ams, otherwise::primary)));
  CHECK(has(after(syd, otherwise::primary)));
  CHECK(has(after(syd, otherwise::replica)));
}

TEST_CASE_FIXTURE(far_shops, "what an actor writes is noted in the session, too") {
  repo::session user;
  std::promise<bool> written;
  lax.node.system().spawn([&](caf::event_based_actor* self) {
    rpc_primary(self, lax.db->with({.session = user}), shop::place, "ink", 3)
        .then([&](repo::committed<shop::order>&) { written.set_value(true); },
              [&](caf::error&) { written.set_value(false); });
  });
  REQUIRE(written.get_future().get());
  REQUIRE(user.position());
  CHECK(has(ams.db->with({.session = user}).exists<shop::order>("item = 'ink'")));
}

TEST_CASE("in a sandbox every level is there at once, and nothing has a position") {
  postgres servers;
  servers.primary().sql("CREATE TABLE t (n int); GRANT ALL ON t TO app");
  repo::sandbox box{servers.primary().url()};
  cluster::node node{far_options("syd", {})};
  rpc::endpoint rpc{node};
  repo::database db{rpc, box.settings()};
  REQUIRE_FALSE(node.join());
  repo::session user;
  repo::read_report report;

  REQUIRE(db.with({.session = user}).execute("INSERT INTO t VALUES (1)"));
  for (const auto& it : {level::eventual, level::session, level::bounded(1ms), level::strong}) {
    auto rows =
        db.with({.level = it, .session = user, .otherwise = otherwise::primary, .report = &report})
            .query("SELECT n FROM t");
    REQUIRE_MESSAGE(rows, said(rows.error()));
    CHECK(rows->size() == 1);
    CHECK_FALSE(report.where);
  }
}

TEST_CASE("behind one name a slower replica is noticed by the read itself") {
  postgres servers{2};
  servers.primary().sql("CREATE TABLE t (n int); GRANT ALL ON t TO app");
  servers.wait_caught_up();
  round_robin name{{servers.replica(0).port(), servers.replica(1).port()}};
  cluster::node syd{far_options("syd", {})};
  rpc::endpoint syd_rpc{syd};
  repo::database primary{syd_rpc, database_options(servers.primary().url())};
  REQUIRE_FALSE(syd.join());
  cluster::node lax{far_options("lax", {syd.self().address})};
  rpc::endpoint lax_rpc{lax};
  auto options =
      database_options("postgresql://app@127.0.0.1:" + std::to_string(name.port()) + "/app");
  options.connections_max = 4;
  repo::database db{lax_rpc, options};
  REQUIRE_FALSE(lax.join());
  REQUIRE(eventually([&] { return lax.primary_group().size() == 1; }));

  int stale = 0;
  for (int i = 0; i < 60; ++i) {
    servers.replica(static_cast<std::size_t>(i % 2)).pause_replay();
    repo::session user;
    auto mine = db.with({.await = false, .session = user});
    REQUIRE(mine.execute("INSERT INTO t VALUES ($1)", i));
    later resumes{servers.replica(static_cast<std::size_t>(i % 2)), 20ms};
    auto found = mine.query("SELECT 1 FROM t WHERE n = $1", i);
    REQUIRE_MESSAGE(found, said(found.error()));
    stale += found->empty();
  }
  CHECK(stale == 0);
}
