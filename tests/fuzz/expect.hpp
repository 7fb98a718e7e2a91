#pragma once

#include <cstdio>
#include <cstdlib>

#include <caf/expected.hpp>

#include "fly/actors/error.hpp"

namespace fly::fuzz {

/// Ends the program, which then tells the input, where `holds` is false.
inline void expect(bool holds, const char* what) {
  if (holds)
    return;
  std::fprintf(stderr, "not so: %s\n", what);
  std::abort();
}

/// The same where something failed in another way than it may.
template <class T>
void expect_code(const caf::expected<T>& outcome, errc code) {
  expect(outcome || outcome.error() == code, "an error has the documented code");
}

} // namespace fly::fuzz
