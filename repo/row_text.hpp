#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fly::repo {

/// Reads rows as PostgreSQL writes a row as text, `(12,"two words",)`, one behind the other;
/// nothing between commas is NULL. Returns nothing where `text` is malformed. PURE.
std::optional<std::vector<std::vector<std::optional<std::string>>>>
parse_rows(std::string_view text);

} // namespace fly::repo
