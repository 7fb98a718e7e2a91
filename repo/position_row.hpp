#pragma once

#include <cstdint>
#include <optional>

#include <pqxx/result>

#include "fly/repo/position.hpp"

namespace fly::repo {

/// Reads a position of `system` from the first three columns of the only row: LSN, timeline as
/// eight hexadecimal digits, transaction id or an empty text. Nothing where they are not that.
std::optional<position> read_position(std::uint64_t system, const pqxx::result& rows);

} // namespace fly::repo
