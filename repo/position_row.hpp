#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include <pqxx/result>

#include "fly/repo/position.hpp"

namespace fly::repo {

/// Reads a position of `system` from the first two columns of the only row, LSN and timeline as
/// eight hexadecimal digits or a name of a file of the log, which begins with them, and from `xid`,
/// a transaction id or empty. Nothing where they are not that.
std::optional<position> read_position(std::uint64_t system, const pqxx::result& rows,
                                      std::string_view xid);

/// The same from these two columns.
std::optional<position> read_position(std::uint64_t system, std::string_view at,
                                      std::string_view on, std::string_view xid);

} // namespace fly::repo
