// Proves what the word of one connection to a server is worth for another connection.
#include "fly/repo/sighting.hpp"

#include <chrono>

#include <doctest/doctest.h>

using namespace fly::repo;
using namespace std::chrono_literals;

namespace {

const sighting::time_point start = sighting::time_point{} + 1h;

server_identity server(std::int64_t started_us = 5) {
  return {.system = 7, .started_us = started_us, .in_recovery = true, .timeline = 1};
}

progress at(std::uint64_t bytes, std::uint32_t timeline = 1) {
  return {.system = 7, .timeline = timeline, .lsn = lsn{bytes}};
}

sighting seen_at(std::uint64_t bytes) {
  return {.server = server(), .seen = at(bytes), .asked = start};
}

} // namespace

TEST_CASE("what was seen holds for connections that were open when it was asked") {
  auto seen = seen_at(100);
  CHECK(seen.holds_for(server(), start));
  CHECK(seen.holds_for(server(), start - 1s));
  CHECK_FALSE(seen.holds_for(server(), start + 1us)); // it may have crashed and replay again
  CHECK_FALSE(seen.holds_for(server(6), start));
}

TEST_CASE("the furthest that was seen counts, from when it was asked for") {
  auto seen = seen_at(100);
  seen.add(server(), at(200), start - 1s);
  CHECK(seen.seen.lsn == lsn{200});
  CHECK(seen.asked == start - 1s);
  seen.add(server(), at(150), start + 1s);
  CHECK(seen.seen.lsn == lsn{200});
  CHECK(seen.asked == start - 1s);
  seen.add(server(), at(200), start + 1s);
  CHECK(seen.asked == start + 1s);
  seen.add(server(), at(200), start);
  CHECK(seen.asked == start + 1s);
}

TEST_CASE("another server, timeline or role says nothing of what was seen") {
  auto seen = seen_at(100);
  seen.add(server(6), at(200), start);
  seen.add(server(), at(200, 2), start);
  auto promoted = at(200);
  promoted.in_recovery = false;
  seen.add(server(), promoted, start);
  CHECK(seen.seen == at(100));
}
