// Proves that a verb with a key happens once, in one round trip where that can be: that a second
// copy gets the first one's rows, whatever is in them, and that nothing remains of what fails.
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <future>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include <pqxx/pqxx>

#include "fly/actors/error.hpp"
#include "fly/repo/database.hpp"
#include "fly/repo/row_text.hpp"
#include "tests/repo/far_shops.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;
using repo::call_options;

namespace keyed {

struct entry {
  std::int64_t id = 0;
  std::string text;
  std::optional<std::string> note{};
  std::vector<std::optional<std::string>> words{};
  std::vector<std::byte> raw{};
  bool open = false;
  double price = 0;
  friend bool operator==(const entry&, const entry&) = default;
};

/// The same table with a column that the database makes longer than it was given.
struct wide {
  std::int64_t id = 0;
  std::string text{};
  std::string note{};
};

/// The same table by a column that is not unique.
struct tagged {
  std::string note{};
  bool open = false;
};

} // namespace keyed

FLY_RECORD(keyed::entry, "entries", key(id), column(text), column(note), column(words), column(raw),
           column(open), column(price));

FLY_RECORD(keyed::wide, "entries", key(id), column(text), generated(note));

FLY_RECORD(keyed::tagged, "entries", key(note), column(open));

namespace {

using keyed::entry;
using row = std::vector<std::optional<std::string>>;

/// Three regions with a table of entries, whose texts are unique.
struct keyed_entries : far_shops {
  keyed_entries() {
    servers.primary().sql(
        "CREATE TABLE entries (id bigserial PRIMARY KEY, text text UNIQUE NOT NULL, note text, "
        "words text[], raw bytea, open bool, price float8);"
        "GRANT ALL ON entries TO app; GRANT ALL ON SEQUENCE entries_id_seq TO app");
    servers.wait_caught_up();
    // The first write asks whether commits are held, in a trip of its own.
    REQUIRE(eventually([&] { return static_cast<bool>(lax.db->insert(entry{.text = "first"})); }));
    REQUIRE(eventually([&] { return ledger("count(*)") == "0"; }));
  }

  std::string ledger(const std::string& what) {
    return servers.primary().sql("SELECT " + what + " FROM fly.ledger");
  }

  std::string count(const std::string& text) {
    return servers.primary().sql("SELECT count(*) FROM entries WHERE text = '" + text + "'");
  }

  /// Lets each row that is inserted take `seconds` within its statement.
  void slow_down(const std::string& seconds) {
    servers.primary().sql(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(" +
        seconds +
        "); RETURN NULL; END'; CREATE TRIGGER slow AFTER INSERT ON entries FOR EACH ROW EXECUTE "
        "FUNCTION slow()");
  }

  std::size_t asleep() {
    return std::stoul(servers.primary().sql(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"));
  }
};

template <class T>
errc code(const caf::expected<T>& outcome) {
  REQUIRE_FALSE(outcome);
  return code_of(outcome.error());
}

} // namespace

TEST_CASE("rows are read from PostgreSQL's text of them") {
  auto parsed = [](std::string_view text) { return repo::parse_rows(text); };
  CHECK(parsed("") == std::vector<row>{});
  CHECK(parsed("(1,pen)") == std::vector<row>{{"1", "pen"}});
  CHECK(parsed("(1,)(,2)()") ==
        std::vector<row>{{"1", {}}, {{}, "2"}, {std::optional<std::string>{}}});
  CHECK(parsed(R"(("","a ""b"" \\ (c), d"))") == std::vector<row>{{"", R"(a "b" \ (c), d)"}});
  for (auto wrong : {"(", "(1", "1", "(1,pen", "(1)x", "(\"a)", "(\"a\"b)", "(a\"b)", "(a\\b)",
                     "(\"a\\b\")", "(a(b)"})
    CHECK_MESSAGE(!parsed(wrong), wrong);
}

TEST_CASE_FIXTURE(keyed_entries, "a verb with a key happens once, and gives the same row again") {
  std::string odd = "it's \"odd\", (very) \\ odd\nand \xc3\xa9 NULL {}";
  entry wanted{.text = odd,
               .words = {{"a \"b\"", "", std::nullopt, "c\\,d"}},
               .raw = {std::byte{0}, std::byte{0xff}, std::byte{'"'}},
               .open = true,
               .price = 0.1};
  call_options once{.key = "k"};

  auto first = lax.db->with(once).insert(wanted);
  REQUIRE_MESSAGE(first, fly::to_string(first.error()));
  CHECK_FALSE(first->repeated());
  CHECK(ledger("substr(result, 1, 5)") == "\\xffffffff0f"); // by the database, in one round trip
  wanted.id = (*first)->id;
  CHECK(**first == wanted);
  wanted.id = 0;
  for (auto* it : {&lax, &ams, &syd}) {
    auto again = it->db->with(once).insert(wanted);
    REQUIRE_MESSAGE(again, fly::to_string(again.error()));
    CHECK(again->repeated());
    CHECK(**again == **first);
    CHECK(again->position().xid == first->position().xid);
    CHECK(it->db->get<entry>((*first)->id)); // it can be read here, too
  }
  CHECK(servers.primary().sql("SELECT count(*) FROM entries") == "2");
  CHECK(ledger("count(*)") == "1");

  wanted.note = "";
  CHECK(code(lax.db->with(once).insert(wanted)) == errc::key_reused);
  auto known = ams.db->outcome("k");
  REQUIRE(known);
  CHECK((*known)->committed);
}

TEST_CASE_FIXTURE(keyed_entries, "each verb with a key can be asked for again") {
  auto again = [&](const char* key, auto verb) {
    auto first = verb(lax.db->with({.key = key}));
    REQUIRE_MESSAGE(first, fly::to_string(first.error()));
    CHECK_FALSE(first->repeated());
    auto second = verb(ams.db->with({.key = key}));
    REQUIRE_MESSAGE(second, fly::to_string(second.error()));
    CHECK(second->repeated());
    CHECK(**first == **second);
    return **first;
  };
  auto some = again("all", [](const auto& db) {
    return db.insert_all(std::vector{entry{.text = "a"}, entry{.text = "b", .note = "n"}});
  });
  REQUIRE(some.size() == 2);
  auto a = some[0];
  a.note = "changed";
  CHECK(again("update", [&](const auto& db) { return db.update(a); }).note == "changed");
  a.note = {};
  CHECK_FALSE(
      again("upsert", [&](const auto& db) { return db.insert_or_update(a, &entry::text); }).note);
  auto all_to_x = [](const auto& db) {
    return db.template update_all<entry>("note = $1", "id > 0", "x");
  };
  CHECK(again("all to x", all_to_x) == 3);
  again("delete", [&](const auto& db) { return db.delete_(a); });
  CHECK(again("rest", [](const auto& db) { return db.template delete_all<entry>("true"); }) == 2);

  // What did nothing is an error of the verb, each time, and holds the key.
  auto gone = [&] { return code(lax.db->with({.key = "gone"}).delete_(a)); };
  CHECK(gone() == errc::not_found);
  CHECK(gone() == errc::not_found);
  CHECK(ledger("count(*)") == "7");
}

TEST_CASE_FIXTURE(keyed_entries, "a verb whose key the table does not keep unique happens once") {
  servers.primary().sql("INSERT INTO entries (text, note) VALUES ('a', 'n'), ('b', 'n')");
  auto close = [&] { return lax.db->with({.key = "k"}).update(keyed::tagged{"n", true}); };

  auto first = close();
  REQUIRE_MESSAGE(first, fly::to_string(first.error()));
  servers.primary().sql("UPDATE entries SET open = false");
  auto second = close();

  REQUIRE_MESSAGE(second, fly::to_string(second.error()));
  CHECK(second->repeated());
  CHECK(servers.primary().sql("SELECT count(*) FROM entries WHERE open") == "0");
}

TEST_CASE_FIXTURE(keyed_entries, "copies of a verb at once happen once, and all get its row") {
  slow_down("0.2");
  std::vector<std::future<std::int64_t>> all;
  std::atomic<int> repeated = 0;
  for (int i = 0; i < 9; ++i)
    all.push_back(std::async(std::launch::async, [&, i] {
      auto& from = i % 3 == 0 ? lax : i % 3 == 1 ? ams : syd;
      auto outcome = from.db->with({.key = "k"}).insert(entry{.text = "pen"});
      REQUIRE_MESSAGE(outcome, fly::to_string(outcome.error()));
      repeated += outcome->repeated();
      return (*outcome)->id;
    }));
  std::set<std::int64_t> ids;
  for (auto& it : all)
    ids.insert(it.get());
  CHECK(ids.size() == 1);
  CHECK(repeated == 8);
  CHECK(count("pen") == "1");
}

// One round trip locks the rows and then the key, three do so the other way round.
TEST_CASE_FIXTURE(keyed_entries, "rows that leave no room for the entry take a key all the same") {
  // Seven parameters each: 65,534 of the 65,535 that a statement may have.
  std::vector<entry> many(9362);
  constexpr std::string_view digits = "0123456789abcdefghijklmnopqrstuvwxyz"; // of short texts
  for (std::size_t i = 0; i < many.size(); ++i)
    many[i].text = {digits[i / 1296], digits[i / 36 % 36], digits[i % 36]};
  auto first = syd.db->with({.timeout = 20s, .key = "many"}).insert_all(many);
  REQUIRE_MESSAGE(first, fly::to_string(first.error()));
  auto again = syd.db->with({.timeout = 20s, .key = "many"}).insert_all(many);
  REQUIRE_MESSAGE(again, fly::to_string(again.error()));
  CHECK(again->repeated());
  CHECK(servers.primary().sql("SELECT count(*) FROM entries WHERE text <> 'first'") == "9362");
}

TEST_CASE_FIXTURE(keyed_entries, "a verb that a deadlock with its copy ends is run behind it") {
  struct copy {
    explicit copy(const std::string& url) : session(url), tx(session) {
      tx.exec("SET deadlock_timeout = '30s'"); // it is the other one that is ended
      tx.exec("BEGIN");
    }
    void claim() { tx.exec("INSERT INTO fly.ledger (key) VALUES ('k')"); }
    void change() { tx.exec("UPDATE entries SET note = 'c' WHERE text = 'first'"); }
    pqxx::connection session;
    pqxx::nontransaction tx;
  };
  auto waits = [&] {
    return servers.primary().sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = "
                                 "'Lock' AND usename = 'app'") == "1";
  };
  auto url = servers.primary().url("postgres");

  SUBCASE("in one round trip") {
    copy other{url};
    other.claim();
    auto verb = std::async(std::launch::async, [&] {
      return lax.db->with({.timeout = 20s, .key = "k"})
          .insert_or_update(entry{.text = "first"}, &entry::text);
    });
    REQUIRE(eventually(waits)); // has the row, and waits for the key
    other.change();             // once the verb has been ended
    other.tx.exec("ROLLBACK");
    auto outcome = verb.get();
    REQUIRE_MESSAGE(outcome, fly::to_string(outcome.error()));
    CHECK_FALSE(outcome->repeated());
  }
  SUBCASE("in three") {
    copy other{url};
    other.change();
    auto verb = std::async(std::launch::async, [&] {
      return lax.db->with({.timeout = 20s, .key = "k"})
          .update_all<entry>("note = 'v'", "text = 'first'");
    });
    REQUIRE(eventually(waits)); // has the key, and waits for the row
    other.claim();              // once the verb has been ended
    other.tx.exec("ROLLBACK");
    auto outcome = verb.get();
    REQUIRE_MESSAGE(outcome, fly::to_string(outcome.error()));
    CHECK(**outcome == 1);
    CHECK(servers.primary().sql("SELECT note FROM entries") == "v");
  }
}

TEST_CASE_FIXTURE(keyed_entries,
                  "what a verb with a key is refused for is told, and frees the key") {
  call_options once{.key = "k"};
  auto twice = lax.db->with(once).insert(entry{.text = "first"});
  CHECK(code(twice) == errc::sql_failed);
  CHECK(details_of(twice.error())["constraint"] == "entries_text_key");
  CHECK(ledger("count(*)") == "0");
  auto other = lax.db->with(once).insert(entry{.text = "second"});
  REQUIRE(other);
  CHECK_FALSE(other->repeated());

  CHECK_FALSE((*ams.db->outcome("fenced"))->committed);
  CHECK(code(lax.db->with({.key = "fenced"}).insert(entry{.text = "pen"})) == errc::key_fenced);
  CHECK(count("pen") == "0");
}

TEST_CASE_FIXTURE(keyed_entries,
                  "a verb whose row is too large is said to be committed, each time") {
  servers.primary().sql("ALTER TABLE entries DROP COLUMN note, ADD COLUMN note text GENERATED "
                        "ALWAYS AS (repeat(text, 9)) STORED");
  std::string text(60'000, 'x');
  for (int i = 0; i < 2; ++i) {
    auto outcome = lax.db->with({.key = "k"}).insert(keyed::wide{.text = text});
    CHECK(code(outcome) == errc::malformed_result);
    CHECK(details_of(outcome.error())["committed"] == "yes");
  }
  CHECK(count(text) == "1");
}

TEST_CASE_FIXTURE(keyed_entries, "a copy of a verb that waited in vain says so") {
  slow_down("2.5");
  auto slow = std::async(std::launch::async,
                         [&] { return lax.db->with({.key = "k"}).insert(entry{.text = "pen"}); });
  REQUIRE(eventually([&] { return asleep() == 1; }));
  auto late = ams.db->with({.timeout = 1000ms, .key = "k"}).insert(entry{.text = "pen"});
  CHECK(code(late) == errc::timeout);
  CHECK(details_of(late.error())["key"] == "k");
  CHECK(slow.get());
  auto again = ams.db->with({.key = "k"}).insert(entry{.text = "pen"});
  REQUIRE(again);
  CHECK(again->repeated());
}

TEST_CASE_FIXTURE(keyed_entries, "without the table a verb with a key says what it needs") {
  servers.primary().sql("DROP TABLE fly.ledger");
  auto outcome = lax.db->with({.key = "k"}).insert(entry{.text = "pen"});
  CHECK(code(outcome) == errc::sql_failed);
  CHECK(text_of(outcome.error()).find("docs/rights.md") != std::string::npos);
  CHECK(count("pen") == "0");
}
