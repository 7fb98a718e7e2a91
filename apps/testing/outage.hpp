#pragma once

#include <map>
#include <string>
#include <vector>

#include "fly/testing/history.hpp"

namespace fly::testing {

/// How long writes did not succeed, for each fault of one kind, in ascending order.
using outages = std::vector<moment>;

/// Returns, by kind, for each fault of a history that is sorted by time: of all processes that live
/// from its begin until `settles` after its end (or the next fault) and are not its target, the
/// longest time without a write that succeeded, begun after the fault. Where no process tried, the
/// fault is left out. Pure.
std::map<std::string, outages> write_outages(const history& what, moment settles);

/// Returns the value below which `percent` of them lie; 0 of none.
moment percentile(const outages& sorted, unsigned percent);

/// Returns a line with count, p50, p95, the longest, and how many lie below 10 ms, 100 ms, 1 s, 5 s
/// and above.
std::string to_text(const outages& sorted);

} // namespace fly::testing
