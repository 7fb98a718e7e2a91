#include "fly/repo/schema.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <string_view>

#include "fly/actors/error.hpp"
#include "fly/repo/lease_tables.hpp"

namespace fly::repo {

namespace {

// What leads from one version to the next. Never changed, only added to: docs/decisions/009, 010.
constexpr std::array<std::string_view, schema_version> steps{R"(
CREATE TABLE fly.timeline (
  system bigint NOT NULL,
  timeline bigint NOT NULL CHECK (timeline > parent),
  parent bigint NOT NULL CHECK (parent > 0),
  left_at pg_lsn,
  noted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (system, timeline)
);
GRANT USAGE ON SCHEMA fly TO PUBLIC;
GRANT SELECT ON fly.schema, fly.timeline TO PUBLIC;
)",
                                                             R"(
CREATE TABLE fly.ledger (
  key text PRIMARY KEY CHECK (length(key) BETWEEN 1 AND 200),
  function text NOT NULL DEFAULT '',
  signature bigint NOT NULL DEFAULT 0,
  arguments bigint NOT NULL DEFAULT 0,
  fenced boolean NOT NULL DEFAULT false,
  result bytea,
  xid bigint,
  timeline bigint,
  at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ledger_at ON fly.ledger (at);
)",
                                                             lease_tables,
                                                             // Its evaluation was a fifth of what a
                                                             // key costs, and check_key has looked.
                                                             R"(
ALTER TABLE fly.ledger DROP CONSTRAINT IF EXISTS ledger_key_check;
)",
                                                             // The order of a locale is another
                                                             // under another C library: an index
                                                             // of it would miss keys that it has.
                                                             // To make a large one anew, under a
                                                             // lock, is the user's to decide.
                                                             R"(
DO $$ BEGIN
  IF pg_relation_size('fly.ledger') < 268435456 THEN
    ALTER TABLE fly.ledger ALTER COLUMN key TYPE text COLLATE "C";
  END IF;
END $$;
)"};

// A schema that one may not use is an error to to_regclass.
constexpr auto version_is_readable = R"(SELECT EXISTS (SELECT FROM pg_namespace
WHERE nspname = 'fly' AND has_schema_privilege(oid, 'USAGE')) AND
coalesce(has_table_privilege(to_regclass('fly.schema'), 'SELECT'), false))";

std::uint64_t read_number(const std::optional<std::string>& text) {
  std::uint64_t number = 0;
  if (text)
    std::from_chars(text->data(), text->data() + text->size(), number);
  return number;
}

const std::optional<std::string>& only_field(const link_rows& rows) {
  static const std::optional<std::string> none;
  return rows.size() == 1 && !rows[0].empty() ? rows[0][0] : none;
}

caf::error run(pq_link& link, const std::string& sql, pq_link::time_point deadline) {
  auto rows = link.query(sql, deadline);
  return rows ? caf::error{} : rows.error();
}

} // namespace

caf::expected<std::uint32_t> read_schema_version(pq_link& link, pq_link::time_point deadline) {
  auto readable = link.query(version_is_readable, deadline);
  if (!readable)
    return std::move(readable.error());
  if (only_field(*readable) != "t")
    return std::uint32_t{0};
  auto rows = link.query("SELECT max(version) FROM fly.schema", deadline);
  if (!rows)
    return std::move(rows.error());
  return static_cast<std::uint32_t>(read_number(only_field(*rows)));
}

namespace {

constexpr auto first_step =
    "CREATE SCHEMA IF NOT EXISTS fly; CREATE TABLE fly.schema (version bigint NOT NULL)";

/// What leads to version `number`, and says so.
std::string step_to(std::size_t number) {
  return std::string{steps[number - 1]} + "INSERT INTO fly.schema VALUES (" +
         std::to_string(number) + ")";
}

/// Within a transaction that holds the lock.
caf::error migrate(pq_link& link, pq_link::time_point deadline) {
  auto version = read_schema_version(link, deadline);
  if (!version)
    return std::move(version.error());
  if (*version == 0)
    if (auto reason = run(link, first_step, deadline))
      return reason;
  for (auto next = *version; next < steps.size(); ++next)
    if (auto reason = run(link, step_to(next + 1), deadline))
      return reason;
  return {};
}

} // namespace

caf::error ensure_schema(pq_link& link, pq_link::time_point deadline) {
  auto version = read_schema_version(link, deadline);
  if (!version)
    return std::move(version.error());
  if (*version >= schema_version)
    return {};
  // A lock of the transaction, which a pooler in transaction mode keeps, too. The number is "fly".
  // The commit must not wait here for a replica that is away.
  if (auto reason = run(link,
                        "BEGIN; SET LOCAL synchronous_commit = local; "
                        "SET LOCAL lock_timeout = '2s'; SET LOCAL client_min_messages = "
                        "error; SELECT pg_advisory_xact_lock(6712441)",
                        deadline))
    return reason;
  if (auto reason = migrate(link, deadline)) {
    if (link.connected())
      run(link, "ROLLBACK", deadline);
    return reason;
  }
  return run(link, "COMMIT", deadline);
}

std::string schema_script() {
  auto result = std::string{"BEGIN;\n"} + first_step + ";";
  for (std::size_t number = 1; number <= steps.size(); ++number)
    result += step_to(number) + ";\n";
  return result + "COMMIT;\n";
}

caf::error grant_schema(pq_link& link, std::string_view role, pq_link::time_point deadline) {
  std::string name = "\"";
  for (char each : role)
    name += each == '"' ? std::string{"\"\""} : std::string{each};
  name += '"';
  return run(link,
             "GRANT USAGE ON SCHEMA fly TO " + name + "; GRANT SELECT ON fly.schema TO " + name +
                 "; GRANT SELECT, INSERT, UPDATE, DELETE ON fly.timeline, fly.ledger TO " + name +
                 "; GRANT EXECUTE ON FUNCTION fly.take_lease, fly.end_lease, fly.hold_epoch TO " +
                 name,
             deadline);
}

caf::expected<timeline_history> read_timelines(pq_link& link, std::uint64_t system,
                                               pq_link::time_point deadline) {
  auto rows = link.query("SELECT timeline, parent, left_at FROM fly.timeline WHERE system = " +
                             std::to_string(system),
                         deadline);
  if (!rows)
    return std::move(rows.error());
  timeline_history result;
  for (const auto& row : *rows)
    if (row.size() == 3)
      result.add(
          static_cast<std::uint32_t>(read_number(row[0])),
          {static_cast<std::uint32_t>(read_number(row[1])), lsn::parse(row[2].value_or(""))});
  return result;
}

namespace {

/// Asks the server for its own history file, which takes a role with REPLICATION.
std::optional<timeline_history> ask_for_history(pq_link& link, link_options options,
                                                std::uint32_t timeline,
                                                pq_link::time_point deadline) {
  if (options.pooled)
    return std::nullopt;
  auto may = link.query(
      "SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user", deadline);
  if (!may || only_field(*may) != "t")
    return std::nullopt;
  options.replication = true;
  auto walsender = pq_link::open(options, deadline);
  if (!walsender)
    return std::nullopt; // pg_hba.conf may not let it in
  auto rows = walsender->query("TIMELINE_HISTORY " + std::to_string(timeline), deadline);
  if (!rows || rows->size() != 1 || rows->front().size() != 2)
    return std::nullopt;
  auto history = parse_history_file(timeline, rows->front()[1].value_or(""));
  return history ? std::optional{*history} : std::nullopt;
}

/// Asks where replay has ended. It stands still from the promotion on, in the very start of the
/// server that was promoted.
caf::expected<std::optional<lsn>> ask_for_end_of_replay(pq_link& link,
                                                        pq_link::time_point deadline) {
  auto rows = link.query("SELECT pg_last_wal_replay_lsn()", deadline);
  if (!rows)
    return std::move(rows.error());
  return lsn::parse(only_field(*rows).value_or(""));
}

std::string values_of(std::uint64_t system, std::uint32_t timeline, const timeline_start& start) {
  auto left_at = start.left_at ? "'" + to_string(*start.left_at) + "'" : "NULL";
  return "(" + std::to_string(system) + ", " + std::to_string(timeline) + ", " +
         std::to_string(start.parent) + ", " + left_at + ")";
}

} // namespace

caf::error note_timeline(pq_link& link, const link_options& options, const server_identity& now,
                         const std::optional<server_identity>& before,
                         pq_link::time_point deadline) {
  if (now.timeline <= 1)
    return {};
  auto known = read_timelines(link, now.system, deadline);
  if (!known)
    return std::move(known.error());
  auto it = known->all().find(now.timeline);
  if (it != known->all().end() && it->second.left_at)
    return {};
  timeline_history found;
  if (auto told = ask_for_history(link, options, now.timeline, deadline))
    found = std::move(*told);
  // Of the timelines between, which its data never was on, nothing is known: so the parent is
  // certain only where the data was on the one just below.
  bool seen = before && before->in_recovery && before->system == now.system &&
              before->started_us == now.started_us &&
              std::max(before->timeline, known->newest()) + 1 == now.timeline;
  if (seen && found.all().empty()) {
    auto end = ask_for_end_of_replay(link, deadline);
    if (!end)
      return std::move(end.error());
    found.add(now.timeline, {now.timeline - 1, *end});
  }
  found.add(now.timeline, {now.timeline - 1, std::nullopt});
  std::string rows;
  for (const auto& [timeline, start] : found.all())
    rows += (rows.empty() ? "" : ", ") + values_of(now.system, timeline, start);
  return run(link,
             "SET LOCAL synchronous_commit = local; INSERT INTO fly.timeline (system, timeline, "
             "parent, left_at) VALUES " +
                 rows +
                 " ON CONFLICT (system, timeline) DO UPDATE SET parent = excluded.parent, left_at "
                 "= excluded.left_at WHERE fly.timeline.left_at IS NULL AND excluded.left_at IS "
                 "NOT NULL",
             deadline);
}

} // namespace fly::repo
