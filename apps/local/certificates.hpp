#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "apps/local/environment.hpp"

namespace fly::local {

/// Makes an authority for the application `app` and a certificate for each region's node, in the
/// folder `folder`, which is made. Returns for each region the variables that give a node its
/// files. Throws std::runtime_error where it cannot.
std::vector<variables> make_certificates(const std::filesystem::path& folder,
                                         const std::string& app,
                                         const std::vector<std::string>& regions);

} // namespace fly::local
