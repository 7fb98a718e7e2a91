// Proves that values which come faster than they are taken are taken once, as the newest.
#include "fly/cluster/newest.hpp"

#include <string>

#include <doctest/doctest.h>

using fly::cluster::newest;

TEST_CASE("of values that nobody takes the newest is kept, and the first alone is told of") {
  newest<std::string> slot;
  CHECK_FALSE(slot.take());

  CHECK(slot.put("a"));
  CHECK_FALSE(slot.put("b"));
  CHECK_FALSE(slot.put("")); // a value, too

  CHECK(slot.take() == "");
  CHECK_FALSE(slot.take());
  CHECK(slot.put("c"));
}
