#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <caf/error.hpp>
#include <caf/expected.hpp>

#include "fly/repo/pq_link.hpp"
#include "fly/repo/server_identity.hpp"
#include "fly/repo/timeline_history.hpp"

namespace fly::repo {

/// The version of fly's own tables that this program knows.
inline constexpr std::uint32_t schema_version = 5;

/// Creates fly's own tables under the schema "fly" of the connection's database, or brings them to
/// `schema_version`; nothing where they are there, or newer. Several may do so at once. `link` is
/// to a writable server and of no more use after an error but errc::sql_failed. Errors:
/// errc::sql_failed with the server's words (42501 where the role may not create them);
/// errc::database_unavailable.
caf::error ensure_schema(pq_link& link, pq_link::time_point deadline);

/// Returns the version of fly's own tables, 0 where there are none that the role may see.
/// Errors: as `pq_link::query`.
caf::expected<std::uint32_t> read_schema_version(pq_link& link, pq_link::time_point deadline);

/// Returns the statements that make fly's own tables where there are none, for who runs them by
/// hand. Whoever runs them owns the tables.
std::string schema_script();

/// Grants `role` what a node needs of fly's own tables. Errors: as `pq_link::query`: 42704 where
/// there is no such role, 42501 where the tables are another's.
caf::error grant_schema(pq_link& link, std::string_view role, pq_link::time_point deadline);

/// Writes down where the timeline of the server `now` began, so that its replicas learn it as rows;
/// nothing on the first timeline, or where it is known. `before` is what the same start of the
/// server said while it was in recovery, for a role that may not ask for the server's own history;
/// where neither tells, the place is written as unknown. `options` opened `link`.
/// Errors: as `pq_link::query`.
caf::error note_timeline(pq_link& link, const link_options& options, const server_identity& now,
                         const std::optional<server_identity>& before,
                         pq_link::time_point deadline);

/// Returns what `fly.timeline` says of `system`. Errors: as `pq_link::query`.
caf::expected<timeline_history> read_timelines(pq_link& link, std::uint64_t system,
                                               pq_link::time_point deadline);

} // namespace fly::repo
