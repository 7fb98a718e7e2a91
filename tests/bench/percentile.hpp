#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace fly::bench {

/// Returns the value below which `share` of the values are; 0 of none.
inline double percentile(std::vector<double> values, double share) {
  if (values.empty())
    return 0;
  std::sort(values.begin(), values.end());
  auto index = static_cast<std::size_t>(share * static_cast<double>(values.size() - 1));
  return values.at(index);
}

} // namespace fly::bench
