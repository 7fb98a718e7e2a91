#include "fly/repo/server_identity.hpp"

#include <charconv>
#include <string_view>

#include "fly/actors/error.hpp"

namespace fly::repo {

namespace {

// pg_walfile_name fails in recovery, so CASE keeps it away from there; there the control file knows
// a timeline, late, and the WAL receiver knows it at once but tells pg_read_all_stats alone.
constexpr auto question_before = R"(
SELECT (SELECT system_identifier FROM pg_control_system()),
  (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::int8,
  coalesce(host(inet_server_addr()) || ':' || inet_server_port(), ''),
  r.recovering, current_setting('transaction_read_only')::bool OR )";

// What a new session of this role in this database would begin with; the narrower setting wins
// (PostgreSQL 15, ALTER ROLE).
constexpr auto catalog_says_read_only = R"(coalesce((
  SELECT split_part(given, '=', 2)::bool FROM pg_db_role_setting, unnest(setconfig) AS given
  WHERE given LIKE 'default\_transaction\_read\_only=%'
    AND setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = session_user))
    AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
  ORDER BY setrole <> 0 DESC, setdatabase <> 0 DESC LIMIT 1), false))";

constexpr auto question_after = R"(,
  CASE WHEN r.recovering
    THEN greatest((SELECT timeline_id FROM pg_control_checkpoint()),
                  (SELECT min_recovery_end_timeline FROM pg_control_recovery()),
                  (SELECT received_tli FROM pg_stat_wal_receiver))::int8
    ELSE ('x' || substr(pg_walfile_name(pg_current_wal_flush_lsn()), 1, 8))::bit(32)::int8
  END,
  coalesce(CASE WHEN r.recovering THEN pg_last_wal_replay_lsn()
                ELSE pg_current_wal_flush_lsn() END, '0/0'),
  CASE WHEN NOT r.recovering THEN NULL
    WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
    ELSE (extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000000)::int8
  END
FROM (SELECT pg_is_in_recovery() AS recovering) AS r)";

template <class Number>
bool read(const std::optional<std::string>& text, Number& value) {
  if (!text)
    return false;
  auto [end, code] = std::from_chars(text->data(), text->data() + text->size(), value);
  return code == std::errc{} && end == text->data() + text->size();
}

} // namespace

bool same_server(const server_identity& a, const server_identity& b) noexcept {
  return a.system == b.system && a.started_us == b.started_us && a.address == b.address;
}

link_statement identity_statement(bool pooled) {
  std::string question = question_before;
  question += pooled ? catalog_says_read_only : "false";
  return {pooled ? "fly_identity_pooled" : "fly_identity", question + question_after};
}

caf::expected<server_identity> identify(pq_link& link, pq_link::time_point deadline, bool pooled) {
  auto rows = link.query(identity_statement(pooled).sql, deadline);
  if (!rows)
    return std::move(rows.error());
  return read_identity(*rows);
}

caf::expected<server_identity> read_identity(const link_rows& rows) {
  server_identity result;
  std::int64_t lag = -1;
  const auto* row = rows.size() == 1 ? &rows.front() : nullptr;
  bool good = row != nullptr && row->size() == 8 && read((*row)[0], result.system) &&
              read((*row)[1], result.started_us) && read((*row)[5], result.timeline);
  auto where = good ? lsn::parse((*row)[6].value_or("")) : std::nullopt;
  if (!where || result.system == 0 || result.timeline == 0)
    return make_error(errc::database_unavailable,
                      "the database does not tell what it is: its system identifier or timeline");
  result.address = (*row)[2].value_or("");
  result.in_recovery = (*row)[3] == "t";
  result.read_only = (*row)[4] == "t";
  result.lsn = *where;
  if (read((*row)[7], lag))
    result.lag = std::chrono::microseconds{lag};
  return result;
}

} // namespace fly::repo
