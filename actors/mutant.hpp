#pragma once

#include <string_view>

namespace fly {

// Faults that can be put back in, so that a check can be seen to find them. A build without the
// option FLY_MUTANTS has none of them: there the question is a constant, and its branch is gone.

#ifdef FLY_MUTANTS

/// Tells whether the environment's FLY_MUTANT names this fault. Read once; any thread.
bool mutant(std::string_view name) noexcept;

#else

constexpr bool mutant(std::string_view) noexcept {
  return false;
}

#endif

} // namespace fly
