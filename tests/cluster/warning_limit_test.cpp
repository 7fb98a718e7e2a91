// Proves how often a warning is said that comes again and again, and how many of them.
#include "fly/cluster/warning_limit.hpp"

#include <string>

#include <doctest/doctest.h>

using namespace fly::cluster;
using namespace std::chrono_literals;

TEST_CASE("a warning is said once a minute") {
  warning_limit it;
  warning_limit::time_point now{};

  CHECK(it.take("a", now));
  CHECK_FALSE(it.take("a", now + 59s));
  CHECK(it.take("b", now + 59s));
  CHECK(it.take("a", now + 60s));
}

TEST_CASE("no more warnings are said in a minute than may") {
  warning_limit it;
  warning_limit::time_point now{};
  for (std::size_t i = 0; i < warning_limit::texts_max; ++i)
    CHECK(it.take(std::to_string(i), now));

  CHECK_FALSE(it.take("one more", now + 59s));
  CHECK(it.take("one more", now + 60s));
}
