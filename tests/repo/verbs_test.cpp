// Proves the verbs against three real databases in three regions: reads are local, writes run on
// the primary and are readable here when they return, and every type comes back as it was.
#include "fly/repo/database.hpp"
#include "fly/repo/within.hpp"

#include <chrono>
#include <future>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include <caf/event_based_actor.hpp>

#include "fly/actors/must.hpp"
#include "tests/repo/far_shops.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;

namespace shelf {

enum class state { open, paid };
enum class level : std::int16_t { low = -1, high = 7 };

struct everything {
  std::int64_t id = 0;
  bool yes = false;
  std::int16_t small = 0;
  std::int32_t number = 0;
  float rough = 0;
  double real = 0;
  std::string text;
  std::vector<std::byte> bytes;
  std::chrono::system_clock::time_point at{};
  std::chrono::sys_time<std::chrono::microseconds> far_at{};
  std::chrono::year_month_day day{std::chrono::year{2000}, std::chrono::month{1},
                                  std::chrono::day{1}};
  fly::repo::uuid token;
  fly::repo::numeric price;
  fly::repo::json facts;
  std::vector<std::string> tags;
  std::vector<std::optional<std::int64_t>> numbers;
  std::vector<fly::repo::uuid> tokens;
  state now = state::open;
  level height = level::low;
  std::optional<std::string> maybe;
  std::optional<std::vector<std::int32_t>> maybe_many;
  std::optional<state> maybe_state;
  std::optional<std::chrono::system_clock::time_point> made;

  friend bool operator==(const everything&, const everything&) = default;
};

struct line {
  std::int64_t id = 0;
  std::int64_t order_id = 0;
  std::string text;
  std::optional<shop::order> order;
};

struct full_order : shop::order {
  std::vector<line> lines;
};

struct wrong_order {
  std::int32_t id = 0;
  std::string item;
  std::int32_t amount = 0;
};

struct odd_name {
  std::string key;
  std::int32_t value = 0;
};

} // namespace shelf

template <>
inline constexpr std::pair<shelf::state, std::string_view> fly::repo::enum_names<shelf::state>[] = {
    {shelf::state::open, "open"}, {shelf::state::paid, "paid"}};

FLY_RECORD(shop::order, "orders", key(id), column(item), column(count));
FLY_RECORD(shelf::full_order, "orders", key(id), column(item), column(count));
FLY_RECORD(shelf::line, "lines", key(id), column(order_id), column(text));
FLY_RECORD(shelf::wrong_order, "orders", key(id), column(item), column(amount));
FLY_RECORD(shelf::odd_name, "\"Odd.Sch\"\"ema\".\"T; DROP TABLE orders\"", key(key, "Key Of"),
           column(value, "va\"l'ue"));
FLY_RECORD(shelf::everything, "everything", key(id), column(yes), column(small), column(number),
           column(rough), column(real), column(text), column(bytes), column(at), column(far_at),
           column(day), column(token), column(price), column(facts), column(tags), column(numbers),
           column(tokens), column(now), column(height), column(maybe), column(maybe_many),
           column(maybe_state), generated(made));

namespace {

using shop::order;

struct far_shelves : far_shops {
  far_shelves() {
    servers.primary().sql(
        "CREATE TYPE state AS ENUM ('open', 'paid', 'lost');"
        "CREATE DOMAIN label AS text CHECK (length(value) < 100000);"
        "CREATE TABLE everything (id bigserial PRIMARY KEY, yes bool NOT NULL, small int2 NOT NULL,"
        " number int NOT NULL, rough float4 NOT NULL, real float8 NOT NULL, text label NOT NULL,"
        " bytes bytea NOT NULL, at timestamptz NOT NULL, far_at timestamptz NOT NULL,"
        " day date NOT NULL, token uuid NOT NULL, price numeric NOT NULL, facts json NOT NULL,"
        " tags text[] NOT NULL, numbers int8[] NOT NULL, tokens uuid[] NOT NULL,"
        " now state NOT NULL, height int2 NOT NULL, maybe text, maybe_many int[],"
        " maybe_state text, made timestamptz NOT NULL DEFAULT now());"
        "CREATE TABLE lines (id bigserial PRIMARY KEY, order_id bigint NOT NULL, text text NOT "
        "NULL);"
        "CREATE SCHEMA \"Odd.Sch\"\"ema\";"
        "CREATE TABLE \"Odd.Sch\"\"ema\".\"T; DROP TABLE orders\" (\"Key Of\" text PRIMARY KEY, "
        "\"va\"\"l'ue\" int NOT NULL);"
        "CREATE UNIQUE INDEX ON orders (item) WHERE item LIKE 'only%';"
        "GRANT ALL ON SCHEMA \"Odd.Sch\"\"ema\" TO app;"
        "GRANT ALL ON ALL TABLES IN SCHEMA public, \"Odd.Sch\"\"ema\" TO app;"
        "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO app");
    servers.wait_caught_up();
  }

  repo::database& far() { return *lax.db; }
};

shelf::everything extremes() {
  using namespace std::chrono;
  shelf::everything x;
  x.yes = true;
  x.small = std::numeric_limits<std::int16_t>::min();
  x.number = std::numeric_limits<std::int32_t>::max();
  x.rough = 1.1754944e-38f;
  x.real = -std::numeric_limits<double>::max();
  x.text = "'; DROP TABLE orders; -- \"é漢字🦊\\\n\t$1";
  for (int i = 0; i < 256; ++i)
    x.bytes.push_back(static_cast<std::byte>(i));
  x.at = sys_days{2026y / 11 / 24} + 13h + 18min + 37s + 123457us;
  x.far_at = sys_days{-4000y / 2 / 29} + 1us;
  x.day = 32767y / 12 / 31;
  x.token = *repo::uuid::parse("ffffffff-ffff-ffff-ffff-fffffffffffe");
  x.price = repo::numeric{"-12345678901234567890123456789.000000000000000000012"};
  x.facts = repo::json{"{\"a\": [1, \"x'\", null]}"};
  x.tags = {"", "a,b", "{}", "say \"hi\"", "back\\slash", "NULL", "漢"};
  x.numbers = {std::numeric_limits<std::int64_t>::min(), std::nullopt, 0};
  x.tokens = {x.token, {}};
  x.now = shelf::state::paid;
  x.height = shelf::level::high;
  x.maybe = "";
  x.maybe_many.emplace();
  x.maybe_state = shelf::state::paid;
  return x;
}

} // namespace

TEST_CASE_FIXTURE(far_shelves, "every type comes back as it was, by a write and by a read") {
  CHECK_FALSE(far().verify<shelf::everything>());
  for (auto x : {shelf::everything{}, extremes()}) {
    auto made = must(far().insert(x));
    CHECK(made.visible());
    CHECK(made->id > 0);
    REQUIRE(made->made);
    CHECK(*made->made > std::chrono::system_clock::now() - 1min);
    x.id = made->id;
    x.made = made->made;
    CHECK(*made == x);
    CHECK(must(far().get<shelf::everything>(x.id)) == x);
    CHECK(must(far().one<shelf::everything>(
              "at = $1 AND day = $2 AND bytes = $3 AND token = $4 AND price = $5 AND tags = $6 AND "
              "now = $7 AND height = $8 AND text = $9",
              x.at, x.day, x.bytes, x.token, x.price, x.tags, x.now, x.height, x.text)) == x);
  }
  servers.primary().sql("UPDATE everything SET at = 'infinity'");
  servers.wait_caught_up();
  CHECK(fly::text_of(far().all<shelf::everything>().error()) ==
        "column at of everything is 'infinity', which its type cannot hold; it is read as "
        "shelf::everything::at");
  servers.primary().sql("UPDATE everything SET at = now(), now = 'lost'");
  servers.wait_caught_up();
  auto lost = far().all<shelf::everything>();
  CHECK(lost.error() == errc::malformed_result);
  CHECK(fly::text_of(lost.error())
            .starts_with("column now of everything is 'lost', not one of open, paid"));

  servers.primary().sql("CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS "
                        "'BEGIN NEW.now = ''lost''; RETURN NEW; END';"
                        "CREATE TRIGGER lose BEFORE UPDATE ON everything FOR EACH ROW "
                        "EXECUTE FUNCTION lose()");
  auto x = extremes();
  x.id = 1;
  auto changed = far().update(x, &shelf::everything::text);
  CHECK(changed.error() == errc::malformed_result);
  CHECK(fly::text_of(changed.error()).ends_with("; the write is committed"));
  CHECK(fly::details_of(changed.error()).at("committed") == "yes");
}

TEST_CASE_FIXTURE(far_shelves, "times and bytes do not depend on the session's settings") {
  auto x = extremes();
  x.id = must(far().insert(x))->id;
  for (auto zone : {"Asia/Kolkata", "America/St_Johns", "UTC"}) {
    servers.primary().sql(std::string{"ALTER ROLE app SET TimeZone = '"} + zone + "'");
    servers.wait_caught_up();
    far_shop other{"lax", servers.replica(0).url()};
    auto found = must(other.db->get<shelf::everything>(x.id));
    CHECK(found.at == x.at);
    CHECK(found.far_at == x.far_at);
  }
}

TEST_CASE_FIXTURE(far_shelves, "every verb from a far region is readable there when it returns") {
  auto& db = far();
  auto pen = must(db.insert(order{.item = "pen", .count = 3}));
  CHECK(pen->id == 1);
  CHECK(must(db.get<order>(1)).item == "pen");

  auto more = must(db.insert_all(
      std::vector{order{.item = "ink", .count = 1}, order{.id = 90, .item = "cup", .count = 2}}));
  CHECK(more->size() == 2);
  CHECK(more->at(0).id == 2);
  CHECK(must(db.all<order>({.order_by = "id DESC", .limit = 2})).front().id == 90);
  CHECK(must(db.one<order>({.order_by = "id DESC", .limit = 1})).id == 90);
  CHECK(must(db.one<order>({.where = "id = $1", .order_by = "id"}, 90)).id == 90);
  CHECK(db.one<order>({.order_by = "id"}).error() == errc::invalid_argument); // several

  pen->count = 7;
  pen->item = "not sent";
  CHECK(must(db.update(*pen, &order::count))->item == "pen");
  CHECK(must(db.get<order>(1)).count == 7);
  pen->item = "pen!";
  CHECK(must(db.update(*pen))->item == "pen!");
  CHECK(must(db.reload(*pen)).item == "pen!");

  auto upserted = must(db.insert_or_update(order{.id = 1, .item = "pencil", .count = 1}));
  CHECK(upserted->item == "pencil");
  CHECK(must(db.exists<order>("item = $1", "pencil")));
  CHECK_FALSE(must(db.exists<order>("item = $1", "pen!")));
  must(db.insert_or_update(order{.id = 91, .item = "mug", .count = 1}));
  CHECK(must(db.aggregate(repo::count<order>())) == 4);

  CHECK(*must(db.update_all<order>("count = count + $1", "id > $2", 10, 1)) == 3);
  CHECK(must(db.get_by(&order::item, "ink")).count == 11);
  CHECK(must(db.delete_(*upserted))->item == "pencil");
  CHECK_FALSE(*db.get<order>(1));
  CHECK(*must(db.delete_all<order>("item = $1", "mug")) == 1);
  CHECK(must(db.all<order>("count >= $1 AND item <> $2", 11, "mug")).size() == 2);
  CHECK(must(db.query("SELECT item FROM orders WHERE id = $1", 90)).rows[0][0] == "cup");
  CHECK(*must(db.delete_all<order>("")) == 2);
  CHECK(must(db.all<order>()).empty());
}

TEST_CASE_FIXTURE(far_shelves, "none, one and many are told apart") {
  auto& db = far();
  must(db.insert_all(std::vector{order{.item = "pen", .count = 1}, order{.item = "pen", .count = 2},
                                 order{.item = "cup", .count = 3}}));
  CHECK_FALSE(*db.one<order>("item = 'ink'"));
  CHECK(must(db.one<order>("item = 'cup'")).count == 3);
  auto several = db.get_by(&order::item, "pen");
  REQUIRE_FALSE(several);
  CHECK(several.error() == errc::invalid_argument);
  CHECK(must(db.get_by(&order::item, "pen", &order::count, 2)).count == 2);
  CHECK_FALSE(*db.get<order>(77));
  CHECK(db.get<order>(1, 2).error() == errc::invalid_argument);
  CHECK(db.get<order>("x").error() == errc::sql_failed);

  order gone{.id = 77, .item = "gone", .count = 1};
  CHECK(db.reload(gone).error() == errc::not_found);
  CHECK(db.update(gone).error() == errc::not_found);
  CHECK(db.delete_(gone).error() == errc::not_found);
  CHECK_THROWS_AS(must(db.get<order>(77)), fly::failure);
  CHECK_THROWS_AS(must(db.reload(gone)), fly::failure);
}

TEST_CASE_FIXTURE(far_shelves,
                  "aggregates give the types of PostgreSQL, and nothing over nothing") {
  auto& db = far();
  CHECK(must(db.aggregate(repo::count<order>())) == 0);
  CHECK_FALSE(*db.aggregate(repo::sum(&order::count)));
  CHECK_FALSE(*db.aggregate(repo::max(&order::item)));
  must(db.insert_all(std::vector{order{.item = "a", .count = 1}, order{.item = "b", .count = 2}}));
  CHECK(must(db.aggregate(repo::sum(&order::count))) == 3);
  CHECK(must(db.aggregate(repo::sum(&order::id))).text == "3");
  CHECK(must(db.aggregate(repo::min(&order::item))) == "a");
  CHECK(must(db.aggregate(repo::max(&order::count), "item = $1", "a")) == 1);
  CHECK(must(db.aggregate(repo::avg(&order::count))).text.starts_with("1.50"));
  CHECK(must(db.aggregate(repo::count(&order::item), "count > $1", 1)) == 1);
}

TEST_CASE_FIXTURE(far_shelves, "preload fills both ways with one query each") {
  auto& db = far();
  must(db.insert_all(std::vector{order{.item = "a", .count = 1}, order{.item = "b", .count = 1},
                                 order{.item = "c", .count = 1}}));
  must(db.insert_all(std::vector<shelf::line>{
      {0, 1, "x", {}}, {0, 3, "y", {}}, {0, 1, "z", {}}, {0, 99, "lost", {}}}));
  auto orders = must(db.all<shelf::full_order>({.order_by = "id"}));
  must(db.preload(orders, &shelf::full_order::lines, &shelf::line::order_id));
  CHECK(orders[0].lines.size() == 2);
  CHECK(orders[0].lines[1].text == "z");
  CHECK(orders[1].lines.empty());
  CHECK(orders[2].lines.at(0).text == "y");

  auto lines = must(db.all<shelf::line>({.order_by = "id"}));
  must(db.preload(lines, &shelf::line::order, &shelf::line::order_id));
  CHECK(lines[0].order->item == "a");
  CHECK(lines[2].order->item == "a");
  CHECK(lines[1].order->item == "c");
  CHECK_FALSE(lines[3].order);
  std::vector<shelf::line> none;
  CHECK_FALSE(db.preload(none, &shelf::line::order, &shelf::line::order_id));
}

TEST_CASE_FIXTURE(far_shelves, "a stream gives all rows, ends when told, and passes errors on") {
  auto& db = far();
  must(
      db.execute("INSERT INTO orders (item, count) SELECT 'n', n FROM generate_series(1, 1234) n"));
  std::int64_t sum = 0;
  must(db.stream<order>([&](order& x) { sum += x.count; }));
  CHECK(sum == 1234 * 1235 / 2);
  int seen = 0;
  must(db.stream<order>([&](const order&) { return ++seen < 700; },
                        {.where = "count > $1", .order_by = "count"}, 10));
  CHECK(seen == 700);
  CHECK(db.stream<order>([&](const order&) { return make_error(errc::not_found, "mine"); }) ==
        errc::not_found);
  auto thrown = db.stream<order>([](const order&) { throw std::runtime_error{"mine"}; });
  CHECK(thrown == errc::function_failed);
  CHECK(db.stream<order>([](const order&) {}, "no such column") == errc::sql_failed);
}

TEST_CASE_FIXTURE(far_shelves,
                  "names with quotes, dots, upper case and SQL inside are only names") {
  auto& db = far();
  CHECK_FALSE(db.verify<shelf::odd_name>());
  must(db.insert(shelf::odd_name{"'); DROP TABLE orders; --", 1}));
  must(db.insert_or_update(shelf::odd_name{"'); DROP TABLE orders; --", 2}));
  CHECK(must(db.get<shelf::odd_name>("'); DROP TABLE orders; --")).value == 2);
  CHECK_FALSE(*db.get<shelf::odd_name>("' OR '1' = '1"));
  CHECK(*must(db.delete_all<order>("item = $1", "' OR true --")) == 0);
  CHECK(servers.primary().sql("SELECT count(*) FROM orders") == "0");
}

TEST_CASE_FIXTURE(far_shelves, "a record that does not fit its table is told by verify") {
  CHECK_FALSE(far().verify<shelf::line>());
  CHECK(fly::text_of(far().verify<shelf::wrong_order>()) ==
        "the record shelf::wrong_order does not fit orders: column id is int8, the field id wants "
        "int4; column item may be NULL, the field item is not optional; there is no column amount");
  servers.primary().sql("DROP TABLE lines");
  servers.wait_caught_up();
  CHECK(fly::text_of(far().verify<shelf::line>()) ==
        "the record shelf::line does not fit lines: there is no such table");
}

TEST_CASE_FIXTURE(far_shelves, "a keyed verb asked for twice is one row") {
  auto db = far().with({.key = "cart-17"});
  auto first = must(db.insert(order{.item = "pen", .count = 3}));
  auto second = must(db.insert(order{.item = "pen", .count = 3}));
  CHECK_FALSE(first.repeated());
  CHECK(second.repeated());
  CHECK(second->id == first->id);
  CHECK(lax.count("pen") == 1);
  CHECK(db.insert(order{.item = "pen", .count = 4}).error() == errc::key_reused);
}

TEST_CASE_FIXTURE(far_shelves, "await = false returns at the commit, with a position to wait for") {
  servers.replica(0).pause_replay();
  auto made = must(far().with({.await = false}).insert(order{.item = "pen", .count = 3}));
  CHECK_FALSE(made.visible());
  CHECK_FALSE(made.late());
  CHECK(lax.count("pen") == 0);
  auto late = must(far().with({.timeout = 1500ms}).insert(order{.item = "pen", .count = 4}));
  CHECK(late.late() == errc::not_visible);
  servers.replica(0).resume_replay();
  CHECK_FALSE(far().wait_for(made.position(), 5s));
  CHECK(lax.count("pen") >= 1);
}

TEST_CASE_FIXTURE(far_shelves, "an actor writes with the verbs without blocking its thread") {
  std::promise<std::string> heard;
  lax.node.system().spawn([&](caf::event_based_actor* self) {
    auto fail = [&](caf::error& reason) { heard.set_value(fly::to_string(reason)); };
    far()
        .insert(self, order{.item = "ink", .count = 3})
        .then(
            [&, self, fail](repo::committed<order>& made) {
              made->count = 4;
              far()
                  .with({.timeout = 4s})
                  .update(self, *made, &order::count)
                  .then(
                      [&](repo::committed<order>& now) {
                        heard.set_value(now->item + std::to_string(now->count));
                      },
                      fail);
            },
            fail);
  });
  CHECK(heard.get_future().get() == "ink4");
  std::promise<std::string> refused;
  lax.node.system().spawn([&](caf::event_based_actor* self) {
    far()
        .delete_(self, order{.id = 99, .item = "", .count = 1})
        .then([&](repo::committed<order>&) { refused.set_value("deleted"); },
              [&](caf::error& reason) { refused.set_value(to_string(code_of(reason))); });
  });
  CHECK(refused.get_future().get() == "not_found");
}

TEST_CASE_FIXTURE(far_shelves, "the verbs work inside a write, all of it or nothing") {
  constexpr repo::write<std::int64_t(std::int64_t, std::int32_t)> take{"shop.take"};
  for (auto* it : {&syd, &lax, &ams})
    it->db->serve(take, [](pqxx::transaction_base& tx, std::int64_t id, std::int32_t count) {
      repo::within rows{tx};
      auto from = must(rows.get<order>(id));
      auto part = must(rows.insert(order{.item = from.item, .count = count}));
      from.count -= count;
      must(rows.update(from)); // refused below 1 by the table
      return part.id;
    });
  auto pen = must(far().insert(order{.item = "pen", .count = 3}));
  CHECK(*must(rpc_and_wait(far(), take, pen->id, 2)) == 2);
  CHECK(must(far().get<order>(pen->id)).count == 1);
  auto refused = rpc_and_wait(far(), take, pen->id, 1);
  REQUIRE_FALSE(refused);
  CHECK(details_of(refused.error())["constraint"] == "positive");
  CHECK(rpc_and_wait(far(), take, 99, 1).error() == errc::not_found);
  CHECK(must(far().aggregate(repo::count<order>())) == 2);
}

TEST_CASE_FIXTURE(far_shelves, "a read that writes is refused with what to do instead") {
  auto refused = far().read([](pqxx::transaction_base& tx) -> caf::error {
    return repo::within{tx}.insert(order{.item = "pen", .count = 1}) ? caf::error{}
                                                                     : make_error(errc::not_found);
  });
  REQUIRE_FALSE(refused);
  CHECK(refused.error() == errc::sql_failed);
  CHECK(details_of(refused.error())["sqlstate"] == "25006");
  CHECK(fly::text_of(refused.error()).find("execute and write<> do, on the primary") !=
        std::string::npos);
  CHECK(far().query("DELETE FROM orders").error() == errc::sql_failed);
}

TEST_CASE_FIXTURE(far_shelves, "several databases of one endpoint get their own statements") {
  servers.primary().sql("CREATE DATABASE stats OWNER app");
  servers.wait_caught_up();
  auto other = [](const postgres_server& server, const std::string& name) {
    auto result = database_options(server.url());
    auto at = result.database_url.rfind("/app");
    REQUIRE(at != std::string::npos);
    result.database_url.replace(at, 4, "/stats");
    result.name = name;
    return result;
  };
  repo::database there{syd.rpc, other(servers.primary(), "stats")};
  repo::database here{lax.rpc, other(servers.replica(0), "stats")};
  REQUIRE_FALSE(here.usable());
  // Served after joining: the members hear of it.
  REQUIRE(eventually([&] { return bool(here.execute("SELECT 1")); }));
  must(here.execute("CREATE TABLE orders (id bigserial PRIMARY KEY, item text NOT NULL, "
                    "count int NOT NULL)"));
  REQUIRE(eventually([&] {
    return must(here.query("SELECT to_regclass('fly.ledger') IS NOT NULL")).rows[0][0] == "t";
  }));
  auto made = must(here.with({.key = "k"}).insert(order{.item = "visit", .count = 1}));
  CHECK(made.visible());
  CHECK(must(here.get<order>(made->id)).item == "visit");
  CHECK(must(here.outcome("k"))->committed);
  CHECK(must(rpc_and_wait(here, repo::outcome_of_key, "k"))->committed);
  CHECK(child(here).id == "repo@stats");
  CHECK(tracker_child(here).id == "tracker@stats");
  CHECK_FALSE(must(far().exists<order>("item = 'visit'")));
  CHECK(lax.node.primary_group().size() == 1);

  constexpr repo::write<void()> leads{"stats.leads"};
  CHECK(here.serve(leads, {.on_leader = true}, [](pqxx::transaction_base&) {}) ==
        errc::invalid_argument);
  repo::database again{lax.rpc, other(servers.replica(0), "stats")};
  CHECK(again.usable() == errc::already_served);
  CHECK(again.execute("SELECT 1").error() == errc::already_served);
  repo::database nameless{lax.rpc, other(servers.replica(0), "")};
  CHECK(nameless.usable() == errc::already_served);
  repo::database wrong{lax.rpc, other(servers.replica(0), "Sta ts")};
  CHECK(wrong.usable() == errc::invalid_argument);
  CHECK(far().execute("SELECT 1"));
}
