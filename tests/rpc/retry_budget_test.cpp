// Proves that retries stay within a tenth of the calls.
#include "fly/rpc/retry_budget.hpp"

#include <doctest/doctest.h>

using fly::rpc::retry_budget;

TEST_CASE("a few retries are there from the beginning, and then ten calls pay for one") {
  retry_budget it;
  for (std::uint32_t i = 0; i < retry_budget::first; ++i)
    CHECK(it.take());
  CHECK_FALSE(it.take());

  for (int i = 0; i < 9; ++i)
    it.called();
  CHECK_FALSE(it.take());
  it.called();
  CHECK(it.take());
  CHECK_FALSE(it.take());
}

TEST_CASE("where every call fails the extra load is a tenth") {
  retry_budget it;
  int retries = 0;
  for (int i = 0; i < 100'000; ++i) {
    it.called();
    retries += it.take() ? 1 : 0;
  }
  CHECK(retries <= 10'000 + static_cast<int>(retry_budget::first));
  CHECK(retries >= 10'000);
}

TEST_CASE("no more is saved up than the bound") {
  retry_budget it;
  for (int i = 0; i < 100'000; ++i)
    it.called();
  std::uint32_t retries = 0;
  while (it.take())
    ++retries;
  CHECK(retries == retry_budget::saved_max);
}
