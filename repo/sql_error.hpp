#pragma once

#include <exception>
#include <optional>
#include <string>

#include <caf/error.hpp>

#include "fly/repo/server_error.hpp"

namespace fly::repo {

/// Turns what the server said into errc::sql_failed: the text is the server's message, the details
/// are "sqlstate" and, where the server named them, "detail", "hint", "constraint", "schema",
/// "table", "column", "data_type" and "context". A server that ends the session or does not take
/// one (FATAL, PANIC; where the severity is unknown class 08, 57P01 to 57P05, 53300) is
/// errc::database_unavailable with the same details.
caf::error to_error(const server_error& what);

/// As `to_error`, but for a statement of a transaction that may write: SQLSTATE 25006 (read-only)
/// is errc::not_primary, as is a hold of the commits, and the fence of a leader's write whose epoch
/// is over errc::not_leader; nothing remains.
caf::error to_write_error(const server_error& what);

/// Returns `reason`, a database that is not there, as that of a write of which nothing ran: another
/// member may be asked, or this one again (`rpc::not_started_detail`).
caf::error not_started(const caf::error& reason);

/// Returns whether a statement failed because what works in recovery only was asked on a server
/// that was promoted meanwhile (SQLSTATE 55000).
bool was_promoted(const std::optional<server_error>& said);
bool was_promoted(const caf::error& reason);

/// Turns an exception that left a function into an error, before the commit was sent: nothing
/// remains in any case. What libpqxx threw because of the server becomes `to_error` or
/// `to_write_error` of what the server said; a connection that broke is errc::database_unavailable;
/// anything else is errc::function_failed with the exception's type in the detail "exception".
caf::error error_of_exception(std::exception_ptr what, const server_report& report, bool may_write);

/// Returns the readable name of the type of `what`: "std::runtime_error".
std::string type_name(const std::exception& what);

} // namespace fly::repo
