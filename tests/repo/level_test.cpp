// Proves that levels and policies are read as they are written, and that each bad one is named; and
// that a replica's lag is told by what the primary had, and when.
#include "fly/repo/level.hpp"

#include <chrono>
#include <string>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/repo/lag_board.hpp"
#include "fly/repo/level_reader.hpp"

using namespace fly;
using namespace fly::repo;
using namespace std::chrono_literals;

namespace {

using clock_type = lag_board::time_point::clock;

const lag_board::time_point start = clock_type::time_point{} + 1h;

position at(std::uint64_t bytes, std::uint32_t timeline = 1) {
  return {7, timeline, lsn{bytes}, {}};
}

progress server_at(std::uint64_t bytes) {
  return {.system = 7, .timeline = 1, .lsn = lsn{bytes}};
}

bool names(const caf::error& reason, const std::string& part) {
  return reason == errc::invalid_argument && text_of(reason).find(part) != std::string::npos;
}

} // namespace

TEST_CASE("each level is read back from its text") {
  for (const auto& it : {level::eventual, level::session, level::strong, level::bounded(1ms),
                         level::bounded(2s), level::bounded(1h)}) {
    auto read = parse_level(to_string(it));
    REQUIRE_MESSAGE(read, to_string(it));
    CHECK(*read == it);
    CHECK_FALSE(it.check());
  }
  CHECK(*parse_level("bounded(2s)") == level::bounded(2s));
  CHECK(to_string(level::bounded(2s)) == "bounded(2000ms)");
}

TEST_CASE("a level that is none is named") {
  for (const char* text :
       {"", "Strong", "strong ", "bounded", "bounded(", "bounded()", "bounded(2)", "bounded(0ms)",
        "bounded(-1s)", "bounded(3601s)", "bounded(2m)", "bounded(2s", "bounded(2s))",
        "bounded(99999999999999999999s)"}) {
    auto read = parse_level(text);
    REQUIRE_FALSE_MESSAGE(read, text);
    CHECK(names(read.error(), "level \"" + std::string{text} + "\""));
  }
  CHECK(names(level::bounded(0ms).check(), "bounded(0ms)"));
  CHECK(names(level::bounded(-5ms).check(), "bounded(-5ms)"));
  CHECK(names(level::bounded(1h + 1ms).check(), "1 ms to 1 h"));
}

TEST_CASE("a policy is read back from its text, and one that is none is named") {
  for (auto it : {otherwise::wait, otherwise::replica, otherwise::primary})
    CHECK(*parse_otherwise(to_string(it)) == it);
  for (const char* text : {"", "Wait", "nobody"}) {
    auto read = parse_otherwise(text);
    REQUIRE_FALSE(read);
    CHECK(names(read.error(), "otherwise \"" + std::string{text} + "\""));
  }
}

TEST_CASE("each option of a read that cannot be used is named") {
  CHECK(*level_of({}) == level::eventual);
  CHECK(*level_of({.session = session{}}) == level::session);
  CHECK(*level_of({.level = level::eventual, .session = session{}}) == level::eventual);

  CHECK(names(level_of({.level = level::session}).error(), "needs a session"));
  CHECK(names(level_of({.level = level::bounded(0ms)}).error(), "bounded(0ms)"));
  CHECK(names(level_of({.otherwise = static_cast<otherwise>(3)}).error(), "otherwise 3"));
  CHECK(names(level_of({.patience = -1ms}).error(), "patience is -1 ms"));
  CHECK(names(level_of({.patience = 24h + 1ms}).error(), "patience"));
}

TEST_CASE("of what the primary said since, the least is enough") {
  lag_board board;
  CHECK_FALSE(board.enough_for(start));
  for (int i = 0; i < 5; ++i)
    board.add(start + i * 1s, at(100 + static_cast<std::uint64_t>(i)));

  CHECK(board.enough_for(start - 1s) == at(100));
  CHECK(board.enough_for(start + 2s) == at(102));
  CHECK(board.enough_for(start + 2s + 1ms) == at(103));
  CHECK(board.enough_for(start + 4s) == at(104));
  CHECK_FALSE(board.enough_for(start + 4s + 1ms)); // nobody asked since
  CHECK(board.asked_last() == start + 4s);
}

TEST_CASE("an answer that was overtaken says nothing") {
  lag_board board;
  board.add(start + 1s, at(100));
  board.add(start, at(90));

  CHECK(board.enough_for(start) == at(100));
}

TEST_CASE("a lag is counted from when the primary was asked, and is unknown before") {
  lag_board board;
  CHECK_FALSE(board.lag_of(server_at(100), start));
  board.add(start, at(100));
  board.add(start + 1s, at(200));

  CHECK_FALSE(board.lag_of(server_at(99), start + 1s));
  CHECK(board.lag_of(server_at(100), start + 1s) == 1s);
  CHECK(board.lag_of(server_at(200), start + 1s) == 0s);
  CHECK(board.lag_of(server_at(999), start + 3s) == 2s); // as far as anybody knows
  CHECK_FALSE(board.lag_of({.system = 8, .timeline = 1, .lsn = lsn{999}}, start + 3s));
}

TEST_CASE("the board keeps its bound, and the newest, however often the primary is asked") {
  lag_board board;
  for (int i = 0; i < 100'000; ++i)
    board.add(start + i * 1ms, at(static_cast<std::uint64_t>(i)));

  CHECK(board.asked_last() == start + 99'999ms);
  CHECK(board.enough_for(start + 99'999ms) == at(99'999));
  auto old = board.enough_for(start + 40s); // within a minute and a half
  REQUIRE(old);
  CHECK(old->lsn >= lsn{40'000});
  CHECK(old->lsn <= lsn{40'000 + 110});
  for (int i = 0; i < 5000; ++i)
    board.add(start + 100s + i * 1s, at(static_cast<std::uint64_t>(200'000 + i)));
  CHECK(board.enough_for(start)->lsn == lsn{200'000 + 5000 - lag_board::samples_max});
}
