// Proves that fly's own tables are made once, by whoever may, and tell where timelines began.
#include "fly/repo/schema.hpp"

#include <future>
#include <vector>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "tests/repo/version_3.hpp"
#include "tests/support/postgres.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;
using repo::link_options;
using repo::pq_link;

namespace {

pq_link::time_point soon() {
  return std::chrono::steady_clock::now() + 10s;
}

link_options as(const postgres_server& server, const std::string& role = "app") {
  return {.url = server.url(role)};
}

pq_link open(const link_options& options) {
  auto opened = pq_link::open(options, soon());
  REQUIRE(opened);
  return std::move(*opened);
}

repo::server_identity identity(const link_options& options) {
  auto link = open(options);
  auto told = identify(link, soon());
  REQUIRE(told);
  return *told;
}

/// Promotes the replica and notes its timeline as `role`. Returns what is then known.
repo::timeline_history promoted(postgres& servers, const std::string& role, bool seen_before) {
  auto& replica = servers.replica(0);
  auto before = identity(as(replica, role));
  servers.primary().stop();
  replica.promote();
  auto link = open(as(replica, role));
  auto now = identify(link, soon());
  REQUIRE(now);
  REQUIRE(now->timeline == before.timeline + 1);
  auto told = seen_before ? std::optional{before} : std::nullopt;
  CHECK_FALSE(note_timeline(link, as(replica, role), *now, told, soon()));
  CHECK_FALSE(note_timeline(link, as(replica, role), *now, told, soon())); // twice is once
  auto known = read_timelines(link, now->system, soon());
  REQUIRE(known);
  return *known;
}

/// Where the server itself says that timeline 2 began.
std::string switch_point(const postgres_server& server) {
  return server.sql("SELECT split_part(pg_read_file('pg_wal/00000002.history'), E'\\t', 2)");
}

} // namespace

TEST_CASE("eight make the tables at once, and they are there once") {
  postgres servers{0};
  auto make = [&] {
    auto link = open(as(servers.primary()));
    return ensure_schema(link, soon());
  };
  std::vector<std::future<caf::error>> all;
  for (int i = 0; i < 8; ++i)
    all.push_back(std::async(std::launch::async, make));
  for (auto& it : all)
    CHECK_FALSE(it.get());

  auto link = open(as(servers.primary()));
  CHECK(*read_schema_version(link, soon()) == repo::schema_version);
  CHECK(servers.primary().sql("SELECT count(*) FROM fly.schema") ==
        std::to_string(repo::schema_version));
}

TEST_CASE("tables of a later version are left alone") {
  postgres servers{0};
  auto link = open(as(servers.primary()));
  REQUIRE_FALSE(ensure_schema(link, soon()));
  servers.primary().sql("INSERT INTO fly.schema VALUES (99)");

  CHECK_FALSE(ensure_schema(link, soon()));
  CHECK(*read_schema_version(link, soon()) == 99);
}

TEST_CASE("tables of version 3 lose check and locale of their keys, and keep their rows") {
  postgres servers{0};
  auto& server = servers.primary();
  auto link = open(as(server));
  REQUIRE_FALSE(ensure_schema(link, soon()));
  make_version_3(server);
  server.sql("INSERT INTO fly.ledger (key) VALUES ('a')");
  auto writing = open(as(server));
  REQUIRE(writing.query("BEGIN; INSERT INTO fly.ledger (key) VALUES ('b')", soon()));

  auto late = ensure_schema(link, soon()); // somebody writes with a key for longer than that
  CHECK(details_of(late)["sqlstate"] == "55P03");
  CHECK(*read_schema_version(link, soon()) == 3);
  REQUIRE(writing.query("COMMIT", soon()));
  CHECK_FALSE(ensure_schema(link, soon()));

  CHECK(*read_schema_version(link, soon()) == repo::schema_version);
  CHECK(server.sql("SELECT string_agg(conname, ',') FROM pg_constraint WHERE conrelid = "
                   "'fly.ledger'::regclass") == "ledger_pkey");
  CHECK(server.sql("SELECT pg_collation_for(key) FROM fly.ledger LIMIT 1") == "\"C\"");
  CHECK(server.sql("SELECT string_agg(key, '' ORDER BY key) FROM fly.ledger") == "ab");
}

TEST_CASE("a role that may not create them is told so, and its connection stays of use") {
  postgres servers{0};
  servers.primary().sql("CREATE ROLE guest LOGIN");
  auto link = open(as(servers.primary(), "guest"));

  auto refused = ensure_schema(link, soon());

  CHECK(refused == errc::sql_failed);
  CHECK(details_of(refused)["sqlstate"] == "42501");
  CHECK(*read_schema_version(link, soon()) == 0);
  auto owner = open(as(servers.primary()));
  REQUIRE_FALSE(ensure_schema(owner, soon()));
  CHECK(*read_schema_version(link, soon()) == repo::schema_version); // anybody may read it
}

TEST_CASE("an ordinary role that saw the replica knows where the new timeline began") {
  postgres servers{1};
  auto link = open(as(servers.primary()));
  REQUIRE_FALSE(ensure_schema(link, soon()));
  servers.wait_caught_up();

  auto known = promoted(servers, "app", true);

  REQUIRE(known.all().count(2) == 1);
  REQUIRE(known.all().at(2).left_at);
  CHECK(known.all().at(2).parent == 1);
  CHECK(to_string(*known.all().at(2).left_at) == switch_point(servers.replica(0)));
}

TEST_CASE("one that came later does not know, and says so") {
  postgres servers{1};
  auto link = open(as(servers.primary()));
  REQUIRE_FALSE(ensure_schema(link, soon()));
  servers.wait_caught_up();

  auto known = promoted(servers, "app", false);

  REQUIRE(known.all().count(2) == 1);
  CHECK_FALSE(known.all().at(2).left_at);
  using kind = repo::timeline_history::share::kind;
  CHECK(known.shared(1, 2).what == kind::nothing);

  // One with REPLICATION asks the server, and what was missing is filled in.
  servers.replica(0).sql("ALTER ROLE app REPLICATION");
  auto again = open(as(servers.replica(0)));
  auto now = identify(again, soon());
  CHECK_FALSE(note_timeline(again, as(servers.replica(0)), *now, std::nullopt, soon()));
  auto filled = read_timelines(again, now->system, soon());
  REQUIRE(filled);
  REQUIRE(filled->all().at(2).left_at);
  CHECK(to_string(*filled->all().at(2).left_at) == switch_point(servers.replica(0)));
}

TEST_CASE(
    "the script makes what a node would, and a role that is granted the tables may use them") {
  postgres servers{0};
  auto& server = servers.primary();
  server.sql("CREATE ROLE plain LOGIN");
  auto owner = open(as(server));
  REQUIRE(owner.query(repo::schema_script(), soon()));
  CHECK(*read_schema_version(owner, soon()) == repo::schema_version);
  CHECK_FALSE(ensure_schema(owner, soon())); // nothing is left to do

  auto plain = open(as(server, "plain"));
  auto refused = plain.query("INSERT INTO fly.ledger (key) VALUES ('a')", soon());
  REQUIRE_FALSE(refused);
  CHECK(details_of(refused.error())["sqlstate"] == "42501");
  CHECK_FALSE(grant_schema(owner, "plain", soon()));
  CHECK_FALSE(grant_schema(owner, "plain", soon())); // twice is once
  CHECK(plain.query("INSERT INTO fly.ledger (key) VALUES ('a'); UPDATE fly.ledger SET fenced = "
                    "true; DELETE FROM fly.ledger; SELECT * FROM fly.timeline; SELECT "
                    "fly.take_lease('me', 1, '1 s')",
                    soon()));
  CHECK(details_of(grant_schema(owner, "no\"body", soon()))["sqlstate"] == "42704");
}
