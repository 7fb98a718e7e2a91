// Proves that the parts of a call's time add up by name, and stay within their bounds.
#include "fly/rpc/call_parts.hpp"

#include <doctest/doctest.h>

using namespace fly::rpc;
using namespace std::chrono_literals;

TEST_CASE("a part that comes twice is one part, and those that did not come are not there") {
  call_parts parts;
  CHECK(parts.all().empty());
  CHECK(parts.total() == 0us);

  parts.add(queue_part, 3us);
  parts.add(function_part, 0us);
  parts.add(queue_part, 4us);

  CHECK(parts.of(queue_part) == 7us);
  CHECK(parts.of(function_part) == 0us);
  CHECK_FALSE(parts.of("commit"));
  CHECK(parts.total() == 7us);
  CHECK(parts.all().size() == 2);
}

TEST_CASE("a time below 0 counts as 0") {
  call_parts parts;
  parts.add(queue_part, -5us);

  CHECK(parts.of(queue_part) == 0us);
}

TEST_CASE("more parts than the bound, and names that are too long, are not kept") {
  call_parts parts;
  parts.add(std::string(call_parts::name_bytes_max + 1, 'x'), 1us);
  CHECK(parts.all().empty());
  parts.add(std::string(call_parts::name_bytes_max, 'x'), 1us);
  CHECK(parts.all().size() == 1);

  for (std::size_t i = 0; i < call_parts::parts_max; ++i)
    parts.add(std::to_string(i), 1us);

  CHECK(parts.all().size() == call_parts::parts_max);
  CHECK_FALSE(parts.of(std::to_string(call_parts::parts_max - 1)));
  parts.add("0", 1us); // one that is there already still grows
  CHECK(parts.of("0") == 2us);
}

TEST_CASE("the time between two moments is in whole microseconds") {
  std::chrono::steady_clock::time_point begin{};

  CHECK(between(begin, begin + 1999ns) == 1us);
}
