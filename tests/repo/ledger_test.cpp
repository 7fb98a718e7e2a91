// Proves that a write with a key happens once, whoever asks how often and whatever fails between,
// and that its outcome can be asked for later.
#include "fly/repo/ledger.hpp"

#include <future>
#include <thread>

#include <doctest/doctest.h>

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scoped_actor.hpp>

#include "fly/repo/schema.hpp"
#include "tests/repo/far_shops.hpp"
#include "tests/repo/version_3.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;
using repo::call_options;

namespace {

/// Three regions, and a look at the ledger.
struct keyed_shops : far_shops {
  keyed_shops() {
    REQUIRE(eventually([&] { return ledger("count(*)") == "0"; }));
  }

  std::string ledger(const std::string& what) {
    return servers.primary().sql("SELECT " + what + " FROM fly.ledger");
  }

  std::string orders() { return servers.primary().sql("SELECT count(*) FROM orders"); }

  /// Inserts an order as one statement that takes `seconds`.
  static std::string slow_insert(const std::string& seconds) {
    return "INSERT INTO orders (item, count) SELECT 'slow', 1 FROM pg_sleep(" + seconds + ")";
  }
};

template <class T>
errc code(const caf::expected<T>& outcome) {
  REQUIRE_FALSE(outcome);
  return code_of(outcome.error());
}

} // namespace

TEST_CASE("a key is 1 to 200 bytes of printable ASCII") {
  CHECK_FALSE(repo::check_key("cart-17/checkout"));
  CHECK_FALSE(repo::check_key(std::string(200, 'x')));
  CHECK_FALSE(repo::check_key("it's \\ odd"));
  for (const auto& wrong : {std::string{}, std::string(201, 'x'), std::string{"a\nb"},
                            std::string{"a\0b", 3}, std::string{"caf\xc3\xa9"}})
    CHECK(repo::check_key(wrong) == errc::invalid_argument);
  CHECK(text_of(repo::check_key("a\nb")).ends_with("this one has others"));
}

TEST_CASE("a call is told from another by its function, its types and its arguments") {
  auto bytes = *rpc::encode(std::string{"pen"}, 2);
  auto a = repo::keyed_call("k", "shop.place", 7, bytes);
  CHECK(a.arguments == repo::keyed_call("other", "shop.drop", 8, bytes).arguments);
  CHECK(a.arguments !=
        repo::keyed_call("k", "shop.place", 7, *rpc::encode(std::string{"pen"}, 3)).arguments);
  CHECK(a.arguments != repo::keyed_call("k", "shop.place", 7, {}).arguments);
  CHECK(repo::random_key() != repo::random_key());
  CHECK(repo::random_key().size() == 32);
}

TEST_CASE_FIXTURE(keyed_shops, "a write with a key happens once, from whichever node") {
  call_options once{.key = "cart-17/it's \\ odd"};

  auto first = rpc_and_wait(lax.db->with(once), shop::place, "pen", 2);
  REQUIRE_MESSAGE(first, fly::to_string(first.error()));
  CHECK_FALSE(first->repeated());
  for (auto* it : {&lax, &ams, &syd}) {
    auto again = rpc_and_wait(it->db->with(once), shop::place, "pen", 2);
    REQUIRE_MESSAGE(again, fly::to_string(again.error()));
    CHECK(again->repeated());
    CHECK((*again)->id == (*first)->id);
    CHECK((*again)->item == "pen");
    CHECK(again->visible());
    CHECK(it->count("pen") == 1); // a result that is repeated can be read here, too
    CHECK(again->position().lsn >= first->position().lsn);
    CHECK(again->position().xid == first->position().xid);
  }
  CHECK(orders() == "1");
  CHECK(ledger("count(*)") == "1");
}

TEST_CASE_FIXTURE(keyed_shops, "a key that was used with another call is refused") {
  auto keyed = lax.db->with({.key = "k"});
  REQUIRE(rpc_and_wait(keyed, shop::place, "pen", 2));

  auto other_arguments = rpc_and_wait(keyed, shop::place, "pen", 3);
  auto other_function = rpc_and_wait(keyed, shop::drop, "pen");

  CHECK(code(other_arguments) == errc::key_reused);
  CHECK(text_of(other_arguments.error()).find("other arguments") != std::string::npos);
  CHECK(effect_of(other_arguments.error()) == effect::nothing_ran);
  CHECK(code(other_function) == errc::key_reused);
  CHECK(text_of(other_function.error()).find("by shop.place") != std::string::npos);
  CHECK(orders() == "1");
}

TEST_CASE_FIXTURE(keyed_shops, "a key that cannot be one is refused, and nothing ran") {
  auto wrong = rpc_and_wait(lax.db->with({.key = std::string(201, 'x')}), shop::place, "pen", 2);
  CHECK(code(wrong) == errc::invalid_argument);
  auto unset = rpc_and_wait(lax.db->with({.key = ""}), shop::place, "pen", 2);
  CHECK(code(unset) == errc::invalid_argument);
  // One that the caller has not looked at.
  auto raw = rpc::ask_raw(lax.rpc, rpc::target::primary(), shop::place.name,
                          repo::write_signature<shop::order, std::string, std::int32_t>(),
                          rpc::encode(std::string{"a\nb"}, std::string{"pen"}, std::int32_t{2}));
  CHECK(code(raw) == errc::invalid_argument);
  CHECK(orders() == "0");
}

TEST_CASE_FIXTURE(keyed_shops, "a write that failed leaves its key free") {
  auto keyed = lax.db->with({.key = "k"});
  CHECK(code(rpc_and_wait(keyed, shop::place, "pen", -1)) == errc::sql_failed);
  CHECK(ledger("count(*)") == "0");
  auto placed = rpc_and_wait(keyed, shop::place, "pen", 1);
  REQUIRE(placed);
  CHECK_FALSE(placed->repeated());
}

TEST_CASE_FIXTURE(keyed_shops, "a second copy waits for the first, and gets its result") {
  auto ask = [&](far_shop& from) {
    return from.db->with({.key = "k"}).execute(slow_insert("0.5"));
  };
  auto a = std::async(std::launch::async, [&] { return ask(lax); });
  auto b = std::async(std::launch::async, [&] { return ask(ams); });
  auto c = std::async(std::launch::async, [&] { return ask(syd); });

  int repeated = 0;
  for (auto* it : {&a, &b, &c}) {
    auto outcome = it->get();
    REQUIRE_MESSAGE(outcome, fly::to_string(outcome.error()));
    CHECK((*outcome)->affected_rows == 1);
    repeated += outcome->repeated();
  }
  CHECK(repeated == 2);
  CHECK(orders() == "1");
}

TEST_CASE_FIXTURE(keyed_shops, "copies at once happen once where transactions are serializable") {
  servers.primary().sql("ALTER ROLE app SET default_transaction_isolation = 'serializable'");
  std::vector<std::future<bool>> all;
  for (int i = 0; i < 12; ++i)
    all.push_back(std::async(std::launch::async, [&, i] {
      auto& from = i % 2 == 0 ? lax : syd;
      auto outcome = from.db->with({.key = "k"}).execute(slow_insert("0.1"));
      REQUIRE_MESSAGE(outcome, fly::to_string(outcome.error()));
      return outcome->repeated();
    }));
  int first = 0;
  for (auto& it : all)
    first += !it.get();
  CHECK(first == 1);
  CHECK(orders() == "1");
}

TEST_CASE_FIXTURE(keyed_shops, "a copy that waited in vain says so, and may come again") {
  auto slow = std::async(std::launch::async,
                         [&] { return lax.db->with({.key = "k"}).execute(slow_insert("2.5")); });
  REQUIRE(eventually([&] {
    return servers.primary().sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE "
                                 "'%pg_sleep%' AND wait_event = 'PgSleep'") == "1";
  }));

  auto late = ams.db->with({.timeout = 1000ms, .key = "k"}).execute(slow_insert("2.5"));
  CHECK(code(late) == errc::timeout);
  CHECK(details_of(late.error())["key"] == "k");
  CHECK(slow.get());
  auto again = ams.db->with({.key = "k"}).execute(slow_insert("2.5"));
  REQUIRE(again);
  CHECK(again->repeated());
  CHECK(orders() == "1");
}

TEST_CASE_FIXTURE(keyed_shops,
                  "fault 18: a call that timed out is cancelled, and the retry writes once") {
  constexpr repo::write<void(std::string)> patient{"shop.patient"};
  syd.db->serve(patient, [](pqxx::transaction_base& tx, std::string item) {
    tx.exec("SET LOCAL statement_timeout = 0"); // nobody stops it at the caller's deadline
    repo::exec(tx, "INSERT INTO orders (item, count) VALUES ($1, 1)", item);
    tx.exec("SELECT pg_sleep(3)"); // but the cancel does
  });

  auto late = rpc_and_wait(lax.db->with({.timeout = 1000ms, .key = "k"}), patient, "pen");
  CHECK(code(late) == errc::timeout);
  CHECK(details_of(late.error())["key"] == "k");
  auto again = rpc_and_wait(ams.db->with({.key = "k"}), patient, "pen");

  REQUIRE_MESSAGE(again, fly::to_string(again.error()));
  CHECK_FALSE(again->repeated()); // nothing of the first copy remains
  CHECK(orders() == "1");
}

TEST_CASE_FIXTURE(keyed_shops, "a session that ends within COMMIT is asked about, and it is once") {
  servers.primary().sql(
      "CREATE TABLE held (id int); CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql "
      "SECURITY DEFINER AS 'BEGIN IF (SELECT count(*) FROM held) = 0 THEN PERFORM pg_sleep(0.3); "
      "PERFORM pg_terminate_backend(pg_backend_pid()); END IF; RETURN NULL; END'; CREATE "
      "CONSTRAINT TRIGGER hold AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED FOR EACH ROW "
      "EXECUTE FUNCTION hold()");
  auto unkeyed = rpc_and_wait(*lax.db, shop::place, "pen", 1);
  CHECK(code(unkeyed) == errc::outcome_unknown);

  auto call = std::async(std::launch::async,
                         [&] { return rpc_and_wait(lax.db->once(), shop::place, "ink", 1); });
  std::this_thread::sleep_for(400ms); // one copy at least has ended
  servers.primary().sql("INSERT INTO held VALUES (1)");
  auto placed = call.get();
  REQUIRE_MESSAGE(placed, fly::to_string(placed.error()));
  CHECK(lax.count("ink") == 1);
  CHECK(servers.primary().sql("SELECT count(*) FROM orders WHERE item = 'pen'") == "0");
}

TEST_CASE_FIXTURE(keyed_shops, "a copy that was lost stays unknown, whatever the next ones say") {
  servers.primary().sql(
      "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(5); "
      "RETURN NULL; END'; CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON orders DEFERRABLE "
      "INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hold()");
  auto call = std::async(std::launch::async, [&] {
    return rpc_and_wait(lax.db->with({.timeout = 2s, .key = "k"}), shop::place, "pen", 1);
  });
  REQUIRE(eventually([&] {
    return servers.primary().sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = "
                                 "'PgSleep'") == "1";
  }));

  servers.primary().kill(); // within the COMMIT, and then there is nobody to ask

  auto outcome = call.get();
  REQUIRE_FALSE(outcome);
  CHECK_MESSAGE(effect_of(outcome.error()) == effect::unknown, fly::to_string(outcome.error()));
  CHECK(text_of(outcome.error()).find("asked again") != std::string::npos);
  CHECK(details_of(outcome.error())["key"] == "k");
}

TEST_CASE_FIXTURE(keyed_shops, "each call of once() has a key of its own") {
  auto db = lax.db->once();
  auto a = rpc_and_wait(db, shop::place, "pen", 1);
  auto b = rpc_and_wait(db, shop::place, "pen", 1);
  REQUIRE(a);
  REQUIRE(b);
  CHECK((*a)->id != (*b)->id);
  CHECK(ledger("count(DISTINCT key)") == "2");
  CHECK(db.read([](pqxx::transaction_base&) { return 1; }));
}

TEST_CASE_FIXTURE(keyed_shops, "the outcome of a key is its result, or that it never happens") {
  auto keyed = lax.db->with({.key = "k"});
  auto placed = rpc_and_wait(keyed, shop::place, "pen", 2);
  REQUIRE(placed);

  auto known = ams.db->outcome("k");
  REQUIRE_MESSAGE(known, fly::to_string(known.error()));
  CHECK((*known)->committed);
  CHECK(known->visible());
  CHECK(ams.count("pen") == 1);
  auto order = (*known)->as(shop::place);
  REQUIRE(order);
  CHECK(order->id == (*placed)->id);
  CHECK(code((*known)->as(shop::look)) == errc::invalid_argument);

  auto never = ams.db->outcome("other");
  REQUIRE(never);
  CHECK_FALSE((*never)->committed);
  CHECK(code((*never)->as(shop::place)) == errc::invalid_argument);
  auto late = rpc_and_wait(lax.db->with({.key = "other"}), shop::place, "ink", 1);
  CHECK(code(late) == errc::key_fenced);
  CHECK(effect_of(late.error()) == effect::nothing_ran);
  CHECK_FALSE((*syd.db->outcome("other"))->committed);
  CHECK(servers.primary().sql("SELECT count(*) FROM orders WHERE item = 'ink'") == "0");
  CHECK(code(lax.db->outcome("a\nb")) == errc::invalid_argument);
}

TEST_CASE_FIXTURE(keyed_shops, "who asks for the outcome of a copy that runs waits for it") {
  auto slow = std::async(std::launch::async,
                         [&] { return lax.db->with({.key = "k"}).execute(slow_insert("2.5")); });
  REQUIRE(eventually([&] {
    return servers.primary().sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = "
                                 "'PgSleep'") == "1";
  }));
  CHECK(code(ams.db->with({.timeout = 1000ms}).outcome("k")) == errc::timeout);
  auto known = ams.db->outcome("k");
  REQUIRE_MESSAGE(known, fly::to_string(known.error()));
  CHECK((*known)->committed);
  CHECK((*known)->as(repo::execute_statement)->affected_rows == 1);
  CHECK(slow.get());
}

TEST_CASE_FIXTURE(keyed_shops, "an actor has keys and outcomes, too") {
  caf::scoped_actor self{lax.node.system()};
  std::promise<bool> done;
  auto worker = self->spawn([&](caf::event_based_actor* me) {
    rpc_and_wait(me, lax.db->with({.key = "k"}), shop::place, "pen", 1)
        .then(
            [&, me](repo::committed<shop::order>&) {
              rpc_and_wait(me, *lax.db, repo::outcome_of_key, "k")
                  .then(
                      [&](repo::committed<repo::key_outcome>& it) {
                        done.set_value(it->committed);
                      },
                      [&](caf::error&) { done.set_value(false); });
            },
            [&](caf::error&) { done.set_value(false); });
  });
  CHECK(done.get_future().get());
}

TEST_CASE_FIXTURE(keyed_shops, "without the table a keyed write says what it needs") {
  servers.primary().sql("DROP TABLE fly.ledger");
  auto keyed = rpc_and_wait(lax.db->with({.key = "k"}), shop::place, "pen", 1);
  CHECK(code(keyed) == errc::sql_failed);
  CHECK(text_of(keyed.error()).find("docs/rights.md") != std::string::npos);
  CHECK(code(lax.db->outcome("k")) == errc::sql_failed);
  CHECK(rpc_and_wait(*lax.db, shop::place, "pen", 1)); // others need nothing
  CHECK(orders() == "1");
}

TEST_CASE_FIXTURE(keyed_shops, "old keys are forgotten in batches") {
  servers.primary().sql("INSERT INTO fly.ledger (key, at) SELECT 'old-' || n, clock_timestamp() - "
                        "interval '2 days' FROM generate_series(1, 2500) AS n");
  REQUIRE(rpc_and_wait(lax.db->with({.key = "new"}), shop::place, "pen", 1));
  auto link =
      repo::pq_link::open({.url = servers.primary().url()}, std::chrono::steady_clock::now() + 5s);
  REQUIRE(link);
  auto forget = [&] {
    return *repo::delete_expired(*link, 24h, 1000, std::chrono::steady_clock::now() + 5s);
  };
  CHECK(forget() <= 1000);
  CHECK(eventually([&] { return ledger("count(*)") == "1"; }, 20s)); // the node does so by itself
  CHECK(forget() == 0);
  CHECK(ledger("key") == "new");
}

TEST_CASE("the first write of a new database may have a key") {
  postgres servers;
  servers.primary().sql(
      "CREATE TABLE orders (id bigserial PRIMARY KEY, item text, count int); GRANT "
      "ALL ON ALL TABLES IN SCHEMA public TO app; GRANT ALL ON ALL SEQUENCES IN "
      "SCHEMA public TO app");
  far_shop syd{"syd", servers.primary().url()};
  REQUIRE_FALSE(syd.node.join());
  auto asked = std::async(std::launch::async, [&] { return syd.db->outcome("other"); });
  auto placed = rpc_and_wait(syd.db->with({.key = "k"}), shop::place, "pen", 1);
  REQUIRE_MESSAGE(placed, fly::to_string(placed.error()));
  auto outcome = asked.get();
  REQUIRE_MESSAGE(outcome, fly::to_string(outcome.error()));
  CHECK_FALSE((*outcome)->committed);
}

TEST_CASE("a node that does not own older tables uses them, and notes where a timeline began") {
  postgres servers{1};
  servers.primary().sql("CREATE TABLE orders (id bigserial PRIMARY KEY, item text, count int); "
                        "GRANT ALL ON ALL TABLES IN SCHEMA public TO app; "
                        "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO app");
  auto soon = std::chrono::steady_clock::now() + 10s;
  auto owner = repo::pq_link::open({.url = servers.primary().url("postgres")}, soon);
  REQUIRE(owner);
  REQUIRE_FALSE(ensure_schema(*owner, soon));
  REQUIRE_FALSE(grant_schema(*owner, "app", soon));
  make_version_3(servers.primary());
  servers.wait_caught_up();
  far_shop syd{"syd", servers.replica(0).url()};
  REQUIRE_FALSE(syd.node.join());
  REQUIRE(eventually(
      [&] { return syd.node.views().front().database.role == cluster::claim::role::replica; }));

  servers.primary().stop();
  servers.replica(0).promote();

  auto placed = rpc_and_wait(syd.db->with({.key = "k"}), shop::place, "pen", 1);
  REQUIRE_MESSAGE(placed, fly::to_string(placed.error()));
  auto again = rpc_and_wait(syd.db->with({.key = "k"}), shop::place, "pen", 1);
  REQUIRE(again);
  CHECK(again->repeated());
  CHECK(servers.replica(0).sql("SELECT timeline FROM fly.timeline") == "2");
  CHECK(servers.replica(0).sql("SELECT max(version) FROM fly.schema") == "3");
}
