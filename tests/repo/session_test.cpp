// Proves what a session remembers: the furthest of all that its user wrote and read, over
// promotions too.
#include "fly/repo/session.hpp"

#include <doctest/doctest.h>

using namespace fly::repo;

namespace {

position at(std::uint64_t bytes, std::uint32_t timeline = 1,
            std::optional<std::uint64_t> xid = {}) {
  return {7, timeline, lsn{bytes}, xid};
}

timeline_history left_at(std::uint64_t bytes) {
  timeline_history result;
  result.add(2, {1, lsn{bytes}});
  return result;
}

} // namespace

TEST_CASE("a session that has seen nothing wants nothing") {
  CHECK_FALSE(session{}.position());
  CHECK(session{at(5)}.position() == at(5));
}

TEST_CASE("a session remembers the furthest of what it read and wrote") {
  session user;
  user.read(at(100), {});
  user.read(at(50), {});
  CHECK(user.position() == at(100));
  user.wrote(at(90, 1, 7), {}, user.now());
  CHECK(user.position() == at(100)); // the id alone would not stand for what was read at 100
  user.wrote(at(120, 1, 8), {}, user.now());
  CHECK(user.position() == at(118, 1, 8)); // it came after all that was seen, by a replica, too
  user.wrote(at(128, 1, 9), {}, user.now());
  CHECK(user.position() == at(126, 1, 9)); // which the primary has still to show
  user.read(at(130), {});
  CHECK(user.position() == at(130));
  CHECK_FALSE(user.uncertain());
}

TEST_CASE("of two writes at the same time neither id stands for both") {
  session user;
  user.read(at(10), {});
  auto begun = user.now();
  user.wrote(at(100, 1, 7), {}, begun);
  user.wrote(at(120, 1, 8), {}, begun);

  CHECK(user.position() == at(120));
}

TEST_CASE("copies are the same session") {
  session user;
  auto other = user;
  other.read(at(100), {});

  CHECK(user.position() == at(100));
}

TEST_CASE("over a promotion the new timeline stands for the old one where it has it") {
  session user{at(100)};
  user.read(at(110, 2), left_at(105));
  CHECK(user.position() == at(110, 2));
  CHECK_FALSE(user.uncertain());

  user.read(at(101), left_at(105)); // a server that was not yet told
  CHECK(user.position() == at(110, 2));
  CHECK_FALSE(user.uncertain());
}

TEST_CASE("what a promotion may have lost is said, and the session goes on") {
  session user{at(100)};
  user.wrote(at(110, 2), left_at(99), user.now());
  CHECK(user.position() == at(110, 2));
  CHECK(user.uncertain());

  user.forget();
  CHECK_FALSE(user.position());
  CHECK_FALSE(user.uncertain());

  session untold{at(100)};
  untold.wrote(at(110, 2), {}, untold.now()); // nobody knows where the timeline was left
  CHECK(untold.position() == at(110, 2));
  CHECK(untold.uncertain());
}

TEST_CASE("a write to an old primary does not take the session back") {
  session user{at(100, 2)};
  user.wrote(at(900, 1), left_at(50), user.now());

  CHECK(user.position() == at(100, 2));
  CHECK(user.uncertain());
}
