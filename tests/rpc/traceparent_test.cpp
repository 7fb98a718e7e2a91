// Proves which texts are a W3C traceparent.
#include "fly/rpc/traceparent.hpp"

#include <string>

#include <doctest/doctest.h>

using fly::rpc::is_traceparent;

namespace {
const std::string good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
}

TEST_CASE("a traceparent is one, and what is cut off, longer or changed anywhere is not") {
  CHECK(is_traceparent(good));
  for (std::size_t size = 0; size < good.size(); ++size)
    CHECK_FALSE(is_traceparent(good.substr(0, size)));
  CHECK_FALSE(is_traceparent(good + "-"));
  for (std::size_t at = 0; at < good.size(); ++at)
    for (char wrong : {'g', 'A', ' ', '\n', '\0'}) {
      auto text = good;
      text[at] = wrong;
      CHECK_FALSE(is_traceparent(text));
    }
}

TEST_CASE("ids of zeros and the version ff are not allowed") {
  CHECK_FALSE(is_traceparent("00-00000000000000000000000000000000-00f067aa0ba902b7-01"));
  CHECK_FALSE(is_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"));
  CHECK_FALSE(is_traceparent("ff" + good.substr(2)));
}

TEST_CASE("a later version may say more, within 512 bytes") {
  auto later = "01" + good.substr(2);
  CHECK(is_traceparent(later));
  CHECK(is_traceparent(later + "-more"));
  CHECK_FALSE(is_traceparent(later + "more"));
  CHECK_FALSE(is_traceparent(later + "-" + std::string(512, 'a')));
}
