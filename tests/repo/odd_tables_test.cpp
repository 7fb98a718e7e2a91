// Proves the verbs on tables that do something of their own: triggers that put rows elsewhere, keys
// that are equal without being spelled alike, columns that are all generated; and streams within
// streams.
#include "fly/repo/database.hpp"
#include "fly/repo/within.hpp"

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "fly/actors/must.hpp"
#include "tests/repo/far_shops.hpp"

using namespace fly;
using namespace fly::test;

namespace odd {

struct event {
  std::int64_t id = 0;
  std::string what{};
};

struct visit {
  std::int64_t id = 0;
  std::string made{};
};

struct parcel {
  std::int64_t id = 0;
  std::string owner{};
  repo::numeric shelf{"0"};
};

struct person {
  std::string name{};
  std::vector<parcel> parcels{};
};

struct shelf {
  repo::numeric number{"0"};
  std::vector<parcel> parcels{};
};

struct owned_parcel {
  std::int64_t id = 0;
  std::string owner{};
  std::optional<person> of{};
};

/// Its columns have names that fly's own statement has.
struct place {
  std::int64_t fly_value = 0;
  std::string fly_place{};
};

struct guide {
  std::string name{};
  std::vector<place> places{};
};

inline constexpr repo::write<std::int64_t()> pairs{"odd.pairs"};
inline constexpr repo::write<std::int64_t(std::string)> run{"odd.run"};

} // namespace odd

namespace odd {

struct stamp {
  std::string code{};
  std::optional<std::string> note{};
  std::vector<std::string> marks{};
};

struct event_seen {
  std::int64_t id = 0;
  std::string what{};
};

struct far_event : event_seen {};

} // namespace odd

// Names that fly has, too.
struct session {
  std::int64_t id = 0;
  std::string what{};
};
struct child : session {};

FLY_RECORD(session, "events", key(id), column(what));
FLY_RECORD(child, "events", key(id), column(what));
FLY_RECORD(odd::stamp, "stamps", key(code), column(note), column(marks));
FLY_RECORD(odd::event_seen, "events_seen", key(id), column(what));
FLY_RECORD(odd::far_event, "far_events", key(id), column(what));
FLY_RECORD(odd::event, "events", key(id), column(what));
FLY_RECORD(odd::visit, "visits", generated(id), generated(made));
FLY_RECORD(odd::parcel, "parcels", key(id), column(owner), column(shelf));
FLY_RECORD(odd::owned_parcel, "parcels", key(id), column(owner));
FLY_RECORD(odd::place, "fly_row", key(fly_value), column(fly_place));
FLY_RECORD(odd::guide, "people", key(name));
FLY_RECORD(odd::person, "people", key(name));
FLY_RECORD(odd::shelf, "shelves", key(number));

namespace {

using odd::event;

struct odd_tables : far_shops {
  odd_tables() {
    servers.primary().sql(
        "CREATE TABLE events (id bigserial PRIMARY KEY, what text NOT NULL);"
        "CREATE TABLE events_old () INHERITS (events);"
        "CREATE FUNCTION put_event() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NEW.what LIKE 'old%' THEN INSERT INTO events_old VALUES (NEW.*); RETURN NULL; END IF;"
        " RETURN NEW; END $$;"
        "CREATE TRIGGER put BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION put_event();"
        "CREATE TABLE visits (id bigint GENERATED ALWAYS AS IDENTITY, made text DEFAULT 'now');"
        "CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2',"
        " deterministic = false);"
        "CREATE TABLE people (name text COLLATE any_case PRIMARY KEY);"
        "CREATE TABLE fly_row (fly_value bigserial PRIMARY KEY, fly_place text);"
        "CREATE TABLE shelves (number numeric PRIMARY KEY);"
        "CREATE TABLE parcels (id bigserial PRIMARY KEY, owner text COLLATE any_case NOT NULL,"
        " shelf numeric NOT NULL);"
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO app;"
        "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO app");
    servers.wait_caught_up();
  }

  const repo::database& far() const { return *lax.db; }
};

} // namespace

TEST_CASE_FIXTURE(odd_tables, "an insert that a trigger puts elsewhere is told as committed") {
  auto plain = far().insert(event{.what = "new"});
  REQUIRE_MESSAGE(plain, fly::to_string(plain.error()));

  auto moved = far().insert(event{.what = "old"});

  REQUIRE_FALSE(moved);
  CHECK(moved.error() == errc::malformed_result);
  CHECK(effect_of(moved.error()) == effect::ran);
  CHECK(details_of(moved.error())["committed"] == "yes");
  CHECK(must(far().with({.level = repo::level::strong}).exists<event>("what = 'old'")));
  auto many = far().insert_all(std::vector<event>{{.what = "new"}, {.what = "old"}});
  REQUIRE_MESSAGE(many, fly::to_string(many.error()));
  CHECK((*many)->size() == 1);
}

TEST_CASE_FIXTURE(odd_tables, "a record whose columns are all generated is inserted") {
  auto one = far().insert(odd::visit{});
  auto two = far().insert_all(std::vector<odd::visit>(2));

  REQUIRE_MESSAGE(one, fly::to_string(one.error()));
  CHECK((*one)->id == 1);
  CHECK((*one)->made == "now");
  REQUIRE_MESSAGE(two, fly::to_string(two.error()));
  CHECK((*two)->size() == 2);
}

TEST_CASE_FIXTURE(odd_tables, "a verb takes one round trip, and goes on where its table changes") {
  servers.primary().sql(
      "CREATE FUNCTION kept() RETURNS text LANGUAGE sql AS $$ SELECT coalesce(string_agg(name, ' ' "
      "ORDER BY name), '') FROM pg_prepared_statements WHERE name LIKE 'fly_one%' OR name LIKE "
      "'fly_verb%' $$; ALTER TABLE visits ALTER made SET DEFAULT kept()");
  must(far().insert(odd::visit{})); // the first write of a node looks whether commits are held
  CHECK(must(far().insert(odd::visit{}))->made == "fly_one_begin fly_one_settings fly_verb_1");

  auto begun = must(far().query("SELECT string_agg(name, ' ' ORDER BY name) FROM "
                                "pg_prepared_statements WHERE name LIKE 'fly_query%'"));
  CHECK(begun.rows.at(0).at(0).value_or("NULL") == "fly_query_begin_asked fly_query_settings");

  servers.primary().sql("ALTER TABLE visits ALTER made TYPE varchar(99), ALTER made SET DEFAULT "
                        "'changed'");
  for (int i = 0; i < 3; ++i)
    CHECK(must(far().insert(odd::visit{}))->made == "changed");
  CHECK(must(far().with({.key = "once"}).insert(odd::visit{}))->made == "changed");
}

TEST_CASE_FIXTURE(odd_tables, "preload joins what the database holds for equal") {
  must(far().insert(odd::person{.name = "Ann"}));
  must(far().insert(odd::person{.name = "bob"}));
  must(far().insert(odd::shelf{.number = repo::numeric{"1.0"}}));
  must(far().insert_all(std::vector<odd::parcel>{{0, "ann", repo::numeric{"1"}},
                                                 {0, "ANN", repo::numeric{"1.00"}},
                                                 {0, "Ann", repo::numeric{"2"}}}));

  auto people = must(far().all<odd::person>({.order_by = "name"}));
  REQUIRE_FALSE(far().preload(people, &odd::person::parcels, &odd::parcel::owner));
  auto shelves = must(far().all<odd::shelf>());
  REQUIRE_FALSE(far().preload(shelves, &odd::shelf::parcels, &odd::parcel::shelf));
  auto parcels = must(far().all<odd::owned_parcel>());
  REQUIRE_FALSE(far().preload(parcels, &odd::owned_parcel::of, &odd::owned_parcel::owner));

  REQUIRE(people.size() == 2);
  REQUIRE(people[0].parcels.size() == 3);
  CHECK(people[0].parcels[1].owner == "ANN"); // in the order of their key
  CHECK(people[1].parcels.empty());
  REQUIRE(shelves.size() == 1);
  CHECK(shelves[0].parcels.size() == 2);
  REQUIRE(parcels.size() == 3);
  for (const auto& it : parcels)
    CHECK((it.of && it.of->name == "Ann"));
}

TEST_CASE_FIXTURE(odd_tables, "preload takes columns with names that its statement has") {
  must(far().insert(odd::guide{.name = "Ann"}));
  must(far().insert(odd::place{.fly_place = "Ann"}));
  auto guides = must(far().all<odd::guide>());
  REQUIRE_FALSE(far().preload(guides, &odd::guide::places, &odd::place::fly_place));
  REQUIRE(guides.at(0).places.size() == 1);
  CHECK(guides[0].places[0].fly_place == "Ann");
}

TEST_CASE_FIXTURE(odd_tables, "a record may have a name that fly has, too") {
  auto made = far().insert(::session{.what = "login"});

  REQUIRE_MESSAGE(made, fly::to_string(made.error()));
  CHECK(must(far().get<::child>((*made)->id)).what == "login");
}

TEST_CASE_FIXTURE(odd_tables, "verify sees through domains of domains, and arrays of them") {
  servers.primary().sql("CREATE DOMAIN short AS text CHECK (length(VALUE) < 9);"
                        "CREATE DOMAIN code AS short NOT NULL;"
                        "CREATE DOMAIN words AS short[] NOT NULL;"
                        "CREATE DOMAIN kind AS short DEFAULT 'plain' NOT NULL;"
                        "CREATE TABLE stamps (code code PRIMARY KEY, note short, marks words,"
                        " kind kind)");
  servers.wait_caught_up();

  auto fits = far().verify<odd::stamp>();
  servers.primary().sql("ALTER TABLE stamps ALTER note TYPE code, ALTER kind TYPE code");
  servers.wait_caught_up();
  auto tight = far().verify<odd::stamp>();

  CHECK_MESSAGE(!fits, fly::to_string(fits));
  CHECK(text_of(tight) == "the record odd::stamp does not fit stamps: column note is NOT NULL, the "
                          "field note is optional; column kind is NOT NULL without a default, and "
                          "insert does not send it");
}

TEST_CASE_FIXTURE(odd_tables, "verify asks a view for nothing that it cannot tell") {
  servers.primary().sql("CREATE VIEW events_seen AS SELECT id, what FROM events;"
                        "CREATE FOREIGN DATA WRAPPER nobody;"
                        "CREATE SERVER far_away FOREIGN DATA WRAPPER nobody;"
                        "CREATE FOREIGN TABLE far_events (id bigint NOT NULL, what text NOT NULL)"
                        " SERVER far_away");
  servers.wait_caught_up();

  CHECK(fly::to_string(far().verify<odd::event_seen>()) == fly::to_string(caf::error{}));
  CHECK(fly::to_string(far().verify<odd::far_event>()) == fly::to_string(caf::error{}));
  servers.primary().sql("DROP VIEW events_seen; CREATE MATERIALIZED VIEW events_seen AS SELECT id,"
                        " 1 AS what FROM events");
  servers.wait_caught_up();
  CHECK(text_of(far().verify<odd::event_seen>()) ==
        "the record odd::event_seen does not fit events_seen: column what is int4, the field what "
        "wants text|varchar|bpchar|name|citext|enum");
}

TEST_CASE_FIXTURE(odd_tables, "a stream may be within another one, or after one that threw") {
  must(syd.db->serve(odd::pairs, [](pqxx::transaction_base& tx) {
    repo::within rows{tx};
    std::int64_t pairs = 0;
    must(rows.stream<event>([&](event&) { must(rows.stream<event>([&](event&) { ++pairs; })); }));
    return pairs;
  }));
  must(far().insert_all(std::vector<event>{{.what = "a"}, {.what = "b"}, {.what = "c"}}));

  auto nested = rpc_and_wait(far(), odd::pairs);
  auto again = far().read([](pqxx::transaction_base& tx) {
    repo::within rows{tx};
    int count = 0;
    try {
      must(rows.stream<event>([](event&) { throw 5; }));
    } catch (int) {
    }
    must(rows.stream<event>([&](event&) { ++count; }));
    return count;
  });

  REQUIRE_MESSAGE(nested, fly::to_string(nested.error()));
  CHECK(**nested == 9);
  REQUIRE_MESSAGE(again, fly::to_string(again.error()));
  CHECK(*again == 3);
}

TEST_CASE_FIXTURE(odd_tables, "a stream that is slower than its time ends as a timeout") {
  must(far().insert_all(std::vector<event>(501, event{.what = "a"})));

  auto slow = far()
                  .with({.timeout = std::chrono::milliseconds{200}})
                  .stream<event>(
                      [](event& it) {
                        if (it.id == 1)
                          std::this_thread::sleep_for(std::chrono::milliseconds{1500});
                      },
                      {.order_by = "id"});

  CHECK_MESSAGE(slow == errc::timeout, fly::to_string(slow));
  auto idle = far().with({.timeout = std::chrono::milliseconds{200}}).read([](auto&) {
    std::this_thread::sleep_for(std::chrono::milliseconds{1500});
    return 1;
  });
  REQUIRE_FALSE(idle);
  CHECK_MESSAGE(idle.error() == errc::timeout, fly::to_string(idle.error()));
}

TEST_CASE_FIXTURE(odd_tables, "a function that is refused by its own doing revokes no claim") {
  must(syd.db->serve(odd::run, [](pqxx::transaction_base& tx, std::string statement) {
    repo::exec(tx, statement);
    return must(repo::within{tx}.insert(event{.what = "new"})).id;
  }));

  for (const char* own :
       {"SET TRANSACTION READ ONLY",
        "SELECT set_config('default_transaction_read_only', 'on', false),"
        " set_config('transaction_read_only', 'on', false)",
        "DO $$ BEGIN RAISE 'of a foreign server' USING ERRCODE = '25006'; END $$"}) {
    auto refused = rpc_and_wait(far(), odd::run, own);

    REQUIRE_FALSE(refused);
    CHECK_MESSAGE(refused.error() == errc::sql_failed, fly::to_string(refused.error()));
    CHECK(details_of(refused.error())["sqlstate"] == "25006");
    CHECK(syd.db->role().role == repo::database_role::primary);
  }
  auto fine = rpc_and_wait(far(), odd::run, "SELECT 1");
  REQUIRE_MESSAGE(fine, fly::to_string(fine.error()));
  CHECK(**fine == 1);
}

TEST_CASE_FIXTURE(odd_tables, "what a write returns of a call within revokes no claim") {
  std::atomic<int> ran{0};
  must(syd.db->serve(
      odd::run,
      [&](pqxx::transaction_base&, const std::string& thrown) -> caf::expected<std::int64_t> {
        ++ran;
        auto reason = make_error(errc::not_primary, "of another database");
        if (!thrown.empty())
          throw reason;
        return reason;
      }));

  for (const char* thrown : {"", "thrown"}) {
    ran = 0;
    auto failed = rpc_and_wait(far(), odd::run, thrown);

    REQUIRE_FALSE(failed);
    CHECK_MESSAGE(failed.error() == errc::not_primary, fly::to_string(failed.error()));
    CHECK(ran == 1);
    CHECK(syd.db->role().role == repo::database_role::primary);
  }
}

TEST_CASE_FIXTURE(odd_tables, "an error that a function throws arrives as one that it returns") {
  must(syd.db->serve(odd::run, [](pqxx::transaction_base&, std::string text) -> std::int64_t {
    throw make_error(errc::overloaded, text);
  }));

  auto refused = rpc_and_wait(far(), odd::run, "mine");

  REQUIRE_FALSE(refused);
  CHECK(refused.error() == errc::overloaded);
  CHECK(text_of(refused.error()) == "mine");
}
