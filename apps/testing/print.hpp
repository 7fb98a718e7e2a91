#pragma once

#include <iosfwd>

#include "fly/testing/checker.hpp"

namespace fly::testing {

/// Prints for people: each finding with its evidence, and then, as the last lines, how many
/// operations ended how, how many faults there were, how long writes did not succeed by the kind of
/// fault (outage.hpp), what is counted apart, and the number of flaws.
void print(std::ostream& out, const history& what, const check_report& report);

} // namespace fly::testing
