#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace fly::local {

/// Environment variables: names and values.
using variables = std::vector<std::pair<std::string, std::string>>;

/// Returns this process's environment, "NAME=value", with `ours` instead of all that would say
/// where the program is: FLY_*, PRIMARY_REGION, MY_REGION, DATABASE_URL.
std::vector<std::string> environment_with(const variables& ours);

/// Returns the file of a region's environment, to be read by a shell: `. lax.env`.
std::filesystem::path environment_file(const std::filesystem::path& folder,
                                       const std::string& region);

/// Writes `ours` to such a file. Throws std::runtime_error where it cannot.
void write_environment(const std::filesystem::path& file, const variables& ours);

} // namespace fly::local
