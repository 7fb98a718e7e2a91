// Proves that the holder of the lease steps down, by its own clock, before the database gives it to
// another, and when the next question is due.
#include "fly/repo/lease_term.hpp"

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using fly::cluster::epoch;
using fly::repo::lease_term;

namespace {

const lease_term::time_point start = lease_term::time_point{} + 1000s;
constexpr epoch first{1, 1};

} // namespace

TEST_CASE("before the first answer nothing is held, and a question is due") {
  lease_term term{3s};

  CHECK_FALSE(term.held(start));
  CHECK(term.due() <= start);
  CHECK(term.answer_by(start) == start + 1s);
}

TEST_CASE("the time counts from before the question was sent, and ends an eighth early") {
  lease_term term{800ms};
  term.granted(first, start);

  CHECK(term.held(start) == first);
  CHECK(term.held(start + 700ms - 1ns) == first);
  CHECK_FALSE(term.held(start + 700ms));
  CHECK_FALSE(term.held(start + 1h));
}

TEST_CASE("an answer that took longer than the lease is worth nothing") {
  lease_term term{800ms};
  auto answered = start + 900ms;
  term.granted(first, start);

  CHECK_FALSE(term.held(answered));
  CHECK(term.due() <= answered);
}

TEST_CASE("it is renewed after a third, and then lasts from there") {
  lease_term term{3s};
  term.granted(first, start);
  CHECK(term.due() == start + 1s);

  term.granted(first, start + 1s);
  CHECK(term.held(start + 3625ms - 1ns) == first);
  CHECK_FALSE(term.held(start + 3625ms));
  CHECK(term.due() == start + 2s);
}

TEST_CASE("a question without an answer takes nothing away before its time, and is asked again") {
  lease_term term{1200ms};
  term.granted(first, start);
  term.failed(start + 500ms);

  CHECK(term.due() == start + 600ms);
  CHECK(term.held(start + 1050ms - 1ns) == first);
  CHECK_FALSE(term.held(start + 1050ms));
}

TEST_CASE("an answer is waited for a third of the lease, and never beyond its end") {
  lease_term term{1200ms};
  term.granted(first, start);

  CHECK(term.answer_by(start + 400ms) == start + 800ms);
  CHECK(term.answer_by(start + 900ms) == start + 1050ms);
  CHECK(term.answer_by(start + 1050ms) == start + 1450ms); // nothing is held any more
}

TEST_CASE("who is refused steps down, and asks when it ends, or after a third") {
  lease_term term{3s};
  term.granted(first, start);

  term.refused(200ms, start);
  CHECK_FALSE(term.held(start));
  CHECK(term.due() == start + 210ms);
  term.refused(0ms, start);
  CHECK(term.due() == start + 10ms);
  term.refused(-5ms, start);
  CHECK(term.due() == start + 10ms);
  term.refused(2900ms, start);
  CHECK(term.due() == start + 1s);
}

TEST_CASE("what is dropped is not held, and what hurries is due at once") {
  lease_term term{3s};
  term.granted(first, start);
  term.drop();
  CHECK_FALSE(term.held(start));
  CHECK(term.due() == start + 1s);

  term.hurry();
  CHECK(term.due() <= start);
}

TEST_CASE("where there is no lease it steps down and asks once a lease") {
  lease_term term{3s};
  term.granted(first, start);
  term.missing(start);

  CHECK_FALSE(term.held(start));
  CHECK(term.due() == start + 3s);
}
