#pragma once

#include <iosfwd>

#include "fly/testing/checker.hpp"

namespace fly::chaos {

/// Prints the findings with their evidence, and then, as the last lines: operations, faults, how
/// long writes did not succeed by the kind of fault, what is counted apart, the verdict.
void print(std::ostream& out, const testing::history& what, const testing::check_report& report);

} // namespace fly::chaos
