// Proves when the local database is asked: not before the waits so far say that it may be there,
// then tight, then less and less, and never more often than somebody is helped by.
#include "fly/repo/ask_pace.hpp"

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using fly::repo::ask_pace;

namespace {

constexpr ask_pace::time_point start{1h};

/// One wait whose replay takes `replay`, each question `question`. Returns how many were asked.
int wait(ask_pace& pace, ask_pace::time_point& now, std::chrono::microseconds replay,
         std::chrono::microseconds question = 80us) {
  auto since = now;
  pace.came(now, true);
  for (int asked = 1;; ++asked) {
    now = pace.due();
    pace.asked(now);
    bool there = now - since >= replay;
    if (there)
      pace.ended(since);
    now += question;
    pace.answered(now, there);
    if (there)
      return asked;
  }
}

} // namespace

TEST_CASE("the first wait of all is asked for at once") {
  ask_pace pace{{}};

  pace.came(start, true);

  CHECK(pace.due() == start);
  CHECK(pace.guess() == 0us);
}

TEST_CASE("a guess learns how long replay takes, and saves questions") {
  ask_pace pace{{}};
  auto now = start;

  int first = wait(pace, now, 700us);
  for (int i = 0; i < 100; ++i)
    wait(pace, now, 700us);
  int later = 0;
  for (int i = 0; i < 100; ++i)
    later += wait(pace, now, 700us);

  CHECK(first >= 6);
  CHECK(later <= 200);
  CHECK(pace.guess() > 400us);
  CHECK(pace.guess() <= 760us);
}

TEST_CASE("some long waits do not make the first question late for the others") {
  ask_pace pace{{}};
  auto now = start;

  for (int i = 0; i < 600; ++i)
    wait(pace, now, i % 5 == 0 ? 4000us : 200us);

  CHECK(pace.guess() > 80us);
  CHECK(pace.guess() < 300us);
}

TEST_CASE("a guess comes down where replay becomes faster") {
  ask_pace pace{{}};
  auto now = start;
  for (int i = 0; i < 200; ++i)
    wait(pace, now, 4000us);
  REQUIRE(pace.guess() > 2000us);

  for (int i = 0; i < 100; ++i)
    wait(pace, now, 100us);

  CHECK(pace.guess() < 200us);
}

TEST_CASE("a guess is never above the longest gap") {
  ask_pace pace{{.gap_first = 20us, .gap_max = 5000us}};
  auto now = start;

  for (int i = 0; i < 200; ++i)
    wait(pace, now, 300'000us);

  CHECK(pace.guess() <= 5000us);
}

TEST_CASE("questions back off: a long wait costs few, and is answered late by a ninth at most") {
  ask_pace pace{{}};
  auto now = start;

  int asked = wait(pace, now, 30'000us);

  CHECK(asked < 60);
  CHECK(now - start < 30'000us * 10 / 9 + 80us + 80us);
  CHECK(wait(pace, now, 1'000'000us) < 260); // 5 ms apart at most, and no less
}

TEST_CASE("one who comes while others wait does not make the questions tight again") {
  ask_pace pace{{}};
  auto now = start;
  pace.came(now, true);
  for (int i = 0; i < 100; ++i) {
    now = pace.due();
    pace.asked(now);
    pace.answered(now, false);
  }
  REQUIRE(pace.due() == now + 5000us);

  pace.came(now + 1us, false);

  CHECK(pace.due() == now + 2500us); // half the gap
  pace.came(now + 4us, false);
  CHECK(pace.due() == now + 2500us);
}

TEST_CASE("who waits alone begins anew, whatever the wait before was like") {
  ask_pace pace{{}};
  auto now = start;
  pace.came(now, true);
  for (int i = 0; i < 100; ++i) {
    now = pace.due();
    pace.asked(now);
    pace.answered(now, false);
  }

  pace.came(now, true); // the one before has given up

  CHECK(pace.due() == now);
  pace.asked(now);
  pace.answered(now, false);
  CHECK(pace.due() == now + 22500ns);
}
