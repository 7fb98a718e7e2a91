#pragma once

#include <string>

namespace fly::simulation {

/// Measures what membership costs one member of clusters of 10, 100, 300 and 1,000; prints a table
/// and writes it to `json_file`, where that is not empty. Returns the exit status.
int measure_scale(const std::string& json_file);

} // namespace fly::simulation
