#pragma once

#include <string>
#include <string_view>

#include <caf/expected.hpp>

namespace fly::repo {

/// Checks a database URL: "postgres://" or "postgresql://", then [user[:password]@]host[:port]
/// (several, separated by commas), /database and ?options, as libpq reads them, which must know
/// each option by its name, and take its value. Returns an empty error where it can be used.
/// Errors: errc::invalid_argument; the text says what is wrong and never contains the password.
caf::error check_database_url(std::string_view url);

/// Returns the URL to connect to from `region`, by Fly's rules (superfly/fly_postgres_elixir
/// 0.3.4). Only hosts that end in ".internal" or ".flycast" are touched, so that every other place
/// (IPs, localhost, sockets, managed Postgres on "*.flympg.net") stays as it is:
/// - "top2." becomes "top1."; a ".internal" host without "top1.nearest.of." gets it as a prefix;
/// - outside `primary_region` port 5432 (also where none is given) becomes 5433: the database of
///   this region instead of the proxy to the writable one.
/// Errors: as `check_database_url`.
caf::expected<std::string> database_url_for(std::string_view url, std::string_view region,
                                            std::string_view primary_region);

/// Returns the URL for people and logs: the password is "***"; "(unreadable)" where it is
/// malformed.
std::string redact_database_url(std::string_view url);

} // namespace fly::repo
