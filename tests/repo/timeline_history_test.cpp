// Proves what a server has of an older timeline, and how the server's own history file is read.
#include "fly/repo/timeline_history.hpp"

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"

using namespace fly;
using repo::lsn;
using repo::parse_history_file;
using repo::timeline_history;
using kind = timeline_history::share::kind;

namespace {

timeline_history::share prefix(std::uint64_t until) {
  return {kind::prefix, lsn{until}};
}

} // namespace

TEST_CASE("a server has its parent's log up to where it left") {
  timeline_history history;
  history.add(2, {1, lsn{100}});

  CHECK(history.shared(1, 2) == prefix(100));
  CHECK(history.newest() == 2);
}

TEST_CASE("over several promotions the earliest end counts") {
  timeline_history history;
  history.add(2, {1, lsn{100}});
  history.add(3, {2, lsn{250}});
  history.add(4, {3, lsn{300}});

  CHECK(history.shared(1, 4) == prefix(100));
  CHECK(history.shared(2, 4) == prefix(250));
  CHECK(history.shared(3, 4) == prefix(300));
}

TEST_CASE("of a timeline beside its own line a server has nothing") {
  timeline_history history; // 3 left 1, and not 2
  history.add(2, {1, lsn{100}});
  history.add(3, {1, lsn{150}});

  CHECK(history.shared(2, 3).what == kind::nothing);
  CHECK(history.shared(1, 3) == prefix(150));
}

TEST_CASE("a way with a gap is unknown, a switch at an unknown place shares nothing") {
  timeline_history history;
  CHECK(history.shared(1, 2).what == kind::unknown);
  history.add(3, {2, lsn{200}});
  CHECK(history.shared(1, 3).what == kind::unknown);
  history.add(2, {1, std::nullopt});
  CHECK(history.shared(1, 3).what == kind::nothing);

  history.add(2, {1, lsn{100}}); // told later
  CHECK(history.shared(1, 3) == prefix(100));
}

TEST_CASE("what is known is not overwritten, and nonsense not taken") {
  timeline_history history;
  history.add(2, {1, lsn{100}});
  history.add(2, {1, lsn{900}});
  history.add(2, {2, lsn{1}});
  history.add(1, {0, lsn{1}});

  CHECK(history.all().size() == 1);
  CHECK(history.shared(1, 2) == prefix(100));
}

TEST_CASE("a server's history file is read whole") {
  auto history = parse_history_file(4, "1\t0/30163A8\tno recovery target specified\n\n"
                                       "# a comment\n"
                                       "2\t0/5000000\tbefore 2026-11-23 10:00:00+00\n"
                                       "3\t1/A0\tno recovery target specified\n");
  REQUIRE(history);
  CHECK(history->all().size() == 3);
  CHECK(history->shared(1, 4) == prefix(0x30163A8));
  CHECK(history->shared(3, 4) == prefix(0x1000000A0));
  CHECK(parse_history_file(1, "")->all().empty());
}

TEST_CASE("a history file that is none is refused by the line") {
  for (const char* text : {"x\t0/1\n", "1 0/1\n", "1\tzero\n", "0\t0/1\n", "2\t0/1\n1\t0/2\n"}) {
    auto history = parse_history_file(3, text);
    REQUIRE_FALSE(history);
    CHECK(history.error() == errc::database_unavailable);
  }
}
