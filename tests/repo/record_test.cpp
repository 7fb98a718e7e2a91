// Proves what needs no server: how values become PostgreSQL's text and come back, what a record
// declaration says, the statements made of it, and how a record is compared with a catalogue.
#include "fly/repo/record.hpp"

#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/repo/record_sql.hpp"
#include "fly/repo/verify.hpp"

using namespace fly;
using namespace std::chrono;

namespace attic {

enum class state { open, paid };
enum class level : std::uint8_t { low, high = 200 };

struct book {
  std::int64_t id = 0;
  std::string title;
  std::optional<std::int32_t> pages;
  state now = state::open;
};

struct line {
  std::int64_t order_id = 0;
  std::int32_t number = 0;
  std::string text;
  std::string note; // not a column
};

struct odd {
  std::int32_t a = 0;
  std::int32_t b = 0;
};
struct bare : odd {};
struct twice : odd {};
struct unnamed : odd {};
struct far_away : odd {};
struct keyless : odd {};

} // namespace attic

template <>
inline constexpr std::pair<attic::state, std::string_view> fly::repo::enum_names<attic::state>[] = {
    {attic::state::open, "open"}, {attic::state::paid, "paid"}};

FLY_RECORD(attic::book, "library.books", key(id), column(title), column(pages, "Page \"count\""),
           generated(now));
FLY_RECORD(attic::line, "\"order.lines\"", key(order_id), key(number), column(text));
FLY_RECORD(attic::bare, "bare");
FLY_RECORD(attic::twice, "twice", key(a), column(b, "a"));
FLY_RECORD(attic::unnamed, "unnamed", key(a), column(b, ""));
FLY_RECORD(attic::far_away, "a.b.c", key(a));
FLY_RECORD(attic::keyless, "keyless", column(a), column(b));

namespace {

template <class T>
std::string text_of(const T& value) {
  return repo::sql_value<T>::write(value);
}

/// Reads a T, or throws what is wrong.
template <class T>
T read(std::string_view text) {
  T value{};
  if (auto wrong = repo::sql_value<T>::read(text, value); !wrong.empty())
    throw std::runtime_error{wrong};
  return value;
}

template <class T>
bool returns(const T& value) {
  return read<T>(text_of(value)) == value;
}

} // namespace

TEST_CASE("numbers come back to the last bit, and what does not fit is named") {
  CHECK(returns(std::numeric_limits<std::int16_t>::min()));
  CHECK(returns(std::numeric_limits<std::int32_t>::max()));
  CHECK(returns(std::numeric_limits<std::int64_t>::min()));
  CHECK(returns(0.1));
  CHECK(returns(std::numeric_limits<double>::denorm_min()));
  CHECK(returns(-std::numeric_limits<double>::max()));
  CHECK(returns(std::numeric_limits<double>::infinity()));
  CHECK(std::isnan(read<double>("NaN")));
  CHECK(read<double>("-Infinity") == -std::numeric_limits<double>::infinity());
  CHECK(returns(true));
  CHECK_THROWS_WITH(read<std::int16_t>("32768"), "is '32768', not -32768 to 32767");
  CHECK_THROWS_WITH(read<std::int64_t>("9223372036854775808"),
                    "is '9223372036854775808', not -9223372036854775808 to 9223372036854775807");
  CHECK_THROWS_WITH(read<std::int32_t>("1.5"), "is '1.5', not an integer");
  CHECK_THROWS_WITH(read<std::int32_t>(""), "is '', not an integer");
  CHECK_THROWS_WITH(read<bool>("yes"), "is 'yes', not a boolean");
  CHECK_THROWS_WITH(read<double>("1,5"), "is '1,5', not a number");
}

TEST_CASE("times keep microseconds, over all years that PostgreSQL has with 64 bits") {
  using time = sys_time<microseconds>;
  constexpr auto day = sys_days{2026y / 11 / 24};
  CHECK(text_of(time{day + 1h + 2us}) == "2026-11-24 01:00:00.000002+00");
  CHECK(returns(system_clock::time_point::min())); // cut off, it is before the smallest
  CHECK(returns(system_clock::time_point{day + 13h + 18min + 37s + 123456us}));
  CHECK(text_of(system_clock::time_point{sys_days{1970y / 1 / 1}} - 1ns) ==
        "1969-12-31 23:59:59.999999+00"); // cut off towards the past
  CHECK(text_of(time{sys_days{0y / 3 / 1}}) == "0001-03-01 00:00:00.000000+00 BC");
  CHECK(returns(time{sys_days{-4000y / 2 / 29} + 1us}));
  CHECK(returns(time{sys_days{30000y / 12 / 31}}));
  CHECK(read<time>("2026-11-24 18:48:37+05:30") == time{day + 13h + 18min + 37s});
  CHECK(read<time>("1890-01-01 00:00:00.5+00:53:28") ==
        time{sys_days{1890y / 1 / 1} - 53min - 28s + 500ms});
  CHECK(read<time>("2026-11-24 13:18:37.1-03") == time{day + 16h + 18min + 37s + 100ms});
  CHECK_THROWS_WITH(read<time>("infinity"), "is 'infinity', which its type cannot hold");
  CHECK_THROWS_WITH(read<time>("294276-12-31 23:59:59.999999+00"),
                    "is '294276-12-31 23:59:59.999999+00', which its type cannot hold");
  CHECK_THROWS_WITH(read<system_clock::time_point>("2500-01-01 00:00:00+00"),
                    "is '2500-01-01 00:00:00+00', which its type cannot hold");
  for (auto bad : {"", "2026-11-24", "24/11/2026 13:18:37 UTC", "2026-11-24 13:18:37",
                   "2026-11-24 13:18:37+", "2026-11-24 13:18:37.+00", "2026-11-24 13:18:37+00 AD"})
    CHECK_THROWS_AS(read<time>(bad), std::runtime_error);
}

TEST_CASE("times of any unit come back") {
  constexpr auto day = sys_days{2026y / 1 / 2};
  CHECK(text_of(sys_seconds{day + 3s}) == "2026-01-02 00:00:03.000000+00");
  CHECK(returns(sys_seconds{day + 3s}));
  CHECK(returns(sys_time<milliseconds>{day - 3ms}));
  CHECK(returns(day));
  CHECK(read<sys_seconds>("2026-01-02 00:00:03.999999+00") == day + 3s);
  CHECK(read<sys_seconds>("1969-12-31 23:59:59.5+00") == sys_seconds{-1s});
  CHECK(text_of(sys_seconds::max()).starts_with("294247-01-10 ")); // the last that is written
  CHECK(text_of(sys_days::min()).ends_with(" BC"));
  CHECK(text_of(sys_seconds::min()).ends_with(" BC"));
  CHECK(text_of(sys_time<microseconds>::min()).ends_with(" BC"));
  CHECK_THROWS_WITH(read<sys_seconds>("infinity"), "is 'infinity', which its type cannot hold");
}

TEST_CASE("times without a time zone have no offset") {
  using time = local_time<microseconds>;
  constexpr auto day = local_days{2026y / 1 / 2};
  CHECK(text_of(time{day + 1h + 2us}) == "2026-01-02 01:00:00.000002");
  CHECK(returns(time{day + 1h + 2us}));
  CHECK(returns(local_seconds{day + 3s}));
  CHECK(returns(time{local_days{-4000y / 2 / 29}}));
  CHECK(read<local_seconds>("2026-01-02 00:00:03") == local_seconds{day + 3s});
  CHECK_THROWS_WITH(read<time>("2026-01-02 00:00:03+00"),
                    "is '2026-01-02 00:00:03+00', not a timestamp without time zone (DateStyle = "
                    "ISO)");
  CHECK_THROWS_WITH(read<time>("-infinity"), "is '-infinity', which its type cannot hold");
}

TEST_CASE("dates come back, and one that does not exist is not written") {
  CHECK(returns(year_month_day{2024y / 2 / 29}));
  CHECK(returns(year_month_day{-43y / 3 / 15}));
  CHECK(returns(year_month_day{32767y / 12 / 31}));
  CHECK(text_of(year_month_day{-43y / 3 / 15}) == "0044-03-15 BC");
  CHECK_THROWS_AS(text_of(year_month_day{2023y / 2 / 29}), std::invalid_argument);
  CHECK_THROWS_WITH(read<year_month_day>("-infinity"),
                    "is '-infinity', which its type cannot hold");
  CHECK_THROWS_WITH(read<year_month_day>("5874897-12-31"),
                    "is '5874897-12-31', which its type cannot hold");
  CHECK_THROWS_AS(read<year_month_day>("29.02.2024"), std::runtime_error);
}

TEST_CASE("bytes, uuid and enumerations come back, and anything else is named") {
  std::vector<std::byte> bytes;
  for (int i = 0; i < 256; ++i)
    bytes.push_back(static_cast<std::byte>(i));
  CHECK(returns(bytes));
  CHECK(returns(std::vector<std::byte>{}));
  CHECK_THROWS_AS(read<std::vector<std::byte>>("abc\\000"), std::runtime_error);
  CHECK_THROWS_AS(read<std::vector<std::byte>>("\\x0g"), std::runtime_error);
  CHECK_THROWS_AS(read<std::vector<std::byte>>("\\x0"), std::runtime_error);

  auto id = repo::uuid::parse("123E4567-e89b-12d3-a456-426614174000");
  REQUIRE(id);
  CHECK(to_string(*id) == "123e4567-e89b-12d3-a456-426614174000");
  CHECK(repo::uuid::parse("123e4567e89b12d3a456426614174000") == id);
  CHECK_FALSE(repo::uuid::parse("123e4567-e89b-12d3-a456-42661417400"));
  CHECK_FALSE(repo::uuid::parse("123e4567-e89b-12d3-a456-42661417400g"));
  CHECK_FALSE(repo::uuid::parse("123e4567e-89b-12d3-a456-426614174000"));
  CHECK(repo::uuid{}.is_nil());

  CHECK(text_of(attic::state::paid) == "paid");
  CHECK(returns(attic::state::paid));
  CHECK_THROWS_WITH(read<attic::state>("lost"), "is 'lost', not one of open, paid");
  CHECK_THROWS_AS(text_of(static_cast<attic::state>(7)), std::invalid_argument);
  CHECK(text_of(attic::level::high) == "200");
  CHECK(returns(attic::level::high));
  CHECK_THROWS_AS(read<attic::level>("256"), std::runtime_error);
}

TEST_CASE("arrays come back with quotes, commas, braces, NULL and the word NULL") {
  using texts = std::vector<std::string>;
  using maybe = std::vector<std::optional<std::string>>;
  CHECK(returns(texts{}));
  CHECK(returns(texts{"", "a,b", "{}", "say \"hi\"", "back\\slash", "NULL", " ", "é"}));
  CHECK(returns(maybe{"NULL", std::nullopt, ""}));
  CHECK(text_of(maybe{"a", std::nullopt}) == "{\"a\",NULL}");
  CHECK(read<std::vector<std::int32_t>>("{1,-2,3}") == std::vector<std::int32_t>{1, -2, 3});
  CHECK_THROWS_WITH(read<std::vector<std::int32_t>>("{1,NULL}"), "element 2 is NULL");
  CHECK_THROWS_WITH(read<std::vector<std::int32_t>>("{1,x}"), "element 2 is 'x', not an integer");
  for (auto bad : {"", "{", "{1", "{1,}", "{,1}", "{1}x", "{{1,2},{3,4}}", "[0:1]={1,2}", "{\"a}",
                   "{\"a\"b}", "{a\\"})
    CHECK_THROWS_AS(read<texts>(bad), std::runtime_error);
}

TEST_CASE("statements quote every name and carry every value as a parameter") {
  const auto& books = repo::record_of<attic::book>();
  CHECK(books.wrong.empty());
  CHECK(books.schema == "library");
  attic::book mine{.id = 0, .title = "'; DROP TABLE books; --", .pages = std::nullopt};
  const void* rows[] = {&mine};

  auto made = repo::insert_rows(books, rows);

  CHECK_FALSE(made.wrong);
  CHECK(made.text == R"(INSERT INTO "library"."books" ("id", "title", "Page ""count""") VALUES )"
                     R"((DEFAULT, $1, $2) RETURNING "id", "title", "Page ""count""", "now")");
  CHECK(made.parameters == std::vector<repo::parameter>{mine.title, std::nullopt});
  mine.id = 7;
  CHECK(repo::insert_rows(books, rows).parameters.front() == "7");
  CHECK(repo::update_row(books, &mine, {}).text ==
        R"(UPDATE "library"."books" SET "title" = $1, "Page ""count""" = $2 WHERE "id" = $3)"
        R"( RETURNING "id", "title", "Page ""count""", "now")");

  const auto& lines = repo::record_of<attic::line>();
  attic::line first{.order_id = 3, .number = 0, .text = "x", .note = ""};
  CHECK(repo::delete_row(lines, &first).text ==
        R"(DELETE FROM "order.lines" WHERE "order_id" = $1 AND "number" = $2)"
        R"( RETURNING "order_id", "number", "text")");
  CHECK(repo::upsert_row(lines, &first, {}).text ==
        R"(INSERT INTO "order.lines" ("order_id", "number", "text") VALUES ($1, $2, $3))"
        R"( ON CONFLICT ("order_id", "number") DO UPDATE SET "text" = EXCLUDED."text")"
        R"( RETURNING "order_id", "number", "text")");
  CHECK(repo::select_rows(lines, {.where = "text = $1 --", .order_by = "number", .limit = 1},
                          std::vector<repo::parameter>{"x"})
            .text == "SELECT \"order_id\", \"number\", \"text\" FROM \"order.lines\" WHERE (\n"
                     "text = $1 --\n) ORDER BY number\n LIMIT 1");
}

TEST_CASE("a declaration or an argument that cannot be used is named, and nothing is sent") {
  auto wrong = [](const repo::sql_statement& made) {
    CHECK(made.wrong == errc::invalid_argument);
    return fly::text_of(made.wrong);
  };
  auto all = [&]<class T>(T*) {
    return wrong(repo::select_rows(repo::record_of<T>(), {}, std::vector<repo::parameter>{}));
  };
  CHECK(all((attic::bare*)nullptr) == "the record attic::bare: it has no columns");
  CHECK(all((attic::twice*)nullptr) == "the record attic::twice: the column a is given twice");
  CHECK(all((attic::unnamed*)nullptr) ==
        "the record attic::unnamed: the column of b has an empty name");
  CHECK(all((attic::far_away*)nullptr) ==
        "the record attic::far_away: the table a.b.c is not \"table\" or \"schema.table\"");

  attic::keyless keyless;
  CHECK(wrong(repo::delete_row(repo::record_of<attic::keyless>(), &keyless)) ==
        "the record attic::keyless: it has no key");
  const auto& lines = repo::record_of<attic::line>();
  attic::line line;
  CHECK(wrong(repo::select_key(lines, std::vector<repo::parameter>{"1"})) ==
        "the record attic::line: its key has 2 columns, and 1 values were given");
  CHECK(wrong(repo::update_row(lines, &line, {repo::detail::offset_of(&attic::line::note)})) ==
        "the record attic::line: a field that was given is none of its columns");
  CHECK(wrong(repo::update_row(lines, &line, {repo::detail::offset_of(&attic::line::number)})) ==
        "the record attic::line: the field number is not to be updated");
  line.text = std::string("a\0b", 3);
  CHECK(wrong(repo::upsert_row(lines, &line, {})) ==
        "parameter $3 has a zero byte, which PostgreSQL's texts do not take");
  CHECK(wrong(repo::select_rows(lines, {.limit = -1}, std::vector<repo::parameter>{})) ==
        "the record attic::line: a limit or offset below 0");
  CHECK(wrong(repo::insert_rows(lines, {})) == "the record attic::line: no rows to insert");
  std::vector<attic::line> many(22'000);
  std::vector<const void*> rows;
  for (const auto& it : many)
    rows.push_back(&it);
  CHECK(wrong(repo::insert_rows(lines, rows)) ==
        "a statement with 66000 parameters, more than 65535");
}

TEST_CASE("a row with a bad value names table, column, value and field") {
  attic::book book;
  auto read = [&](std::vector<repo::raw_field> fields) {
    auto reason = repo::read_row(repo::record_of<attic::book>(), fields, &book);
    return reason ? fly::to_string(reason) : "";
  };
  CHECK(read({"1", "x", std::nullopt, "paid"}).empty());
  CHECK(book.now == attic::state::paid);
  CHECK(read({"1", std::nullopt, "3", "paid"}) ==
        "malformed_result: column title of library.books is NULL; it is read as "
        "attic::book::title (ran)");
  CHECK(read({"1", "x", "many", "paid"}).find("is 'many', not an integer") != std::string::npos);
  CHECK(read({"1", "x"}).find("gave 2 columns, not 4") != std::string::npos);
}

TEST_CASE("all that does not fit the catalogue is named at once") {
  const auto& books = repo::record_of<attic::book>();
  repo::catalogue_table table{
      .there = true,
      .columns = {{.name = "id", .type = "int8", .not_null = true, .has_default = true},
                  {.name = "title", .type = "text", .not_null = true},
                  {.name = "Page \"count\"", .type = "int4"},
                  {.name = "now",
                   .type = "state",
                   .is_enum = true,
                   .not_null = true,
                   .has_default = true}},
      .unique = {{"id"}},
  };
  CHECK_FALSE(repo::compare(books, table));

  CHECK(fly::text_of(repo::compare(books, {})) ==
        "the record attic::book does not fit library.books: there is no such table");
  table.columns[0].type = "int4";
  table.columns[1].not_null = false;
  table.columns[2].not_null = true;
  table.columns[3].array = true;
  table.columns.push_back({.name = "isbn", .type = "text", .not_null = true});
  table.unique = {{"id", "title"}};
  CHECK(fly::text_of(repo::compare(books, table)) ==
        "the record attic::book does not fit library.books: column id is int4, the field id wants "
        "int8; column title may be NULL, the field title is not optional; column Page \"count\" is "
        "NOT NULL, the field pages is optional; column now is state[], the field now wants "
        "text|varchar|bpchar|name|citext|enum; column isbn is NOT NULL without a default, and "
        "insert does not send it; no unique index is on the columns of the key alone");
}
