#include "fly/repo/spot.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

namespace fly::repo {

namespace {

// As in replay_watcher.cpp: pg_xact_status and not the snapshot, which lists no running
// transactions in recovery; it fails for ids that the server has not seen.
constexpr auto visible_among = R"((SELECT string_agg(x::text, ' ') FROM unnest($1::xid8[]) AS x
WHERE CASE WHEN x < pg_snapshot_xmax(pg_current_snapshot())
THEN pg_xact_status(x) = 'committed' END))";

// The replay position, with a "+" where a snapshot may have seen the record after it as well: the
// server tells of a record a moment after it has applied it. Where it has received nothing more, or
// stands still between two records, there is none. PostgreSQL 14 and later.
constexpr auto replayed = R"((SELECT at::text || CASE
WHEN still IS DISTINCT FROM 'paused' AND pg_last_wal_receive_lsn() > at THEN '+' ELSE '' END
FROM (SELECT pg_get_wal_replay_pause_state() AS still, pg_last_wal_replay_lsn() AS at) AS r))";

// A snapshot does not list those that are younger than the last one that has ended. Any role may
// see the ids. A replica has none, and to list many
// sessions takes longer than all else of the question.
constexpr auto running = "CASE WHEN NOT r.recovering THEN (SELECT string_agg(a.backend_xid::text, "
                         "' ') FROM pg_stat_get_activity(NULL) AS a WHERE a.backend_xid IS NOT "
                         "NULL) END";

// Whether the timelines could be asked; a schema that one may not use is an error to to_regclass.
constexpr auto can_tell = R"(-(CASE WHEN EXISTS (SELECT FROM pg_namespace
WHERE nspname = 'fly' AND has_schema_privilege(oid, 'USAGE'))
THEN coalesce(has_table_privilege(to_regclass('fly.timeline'), 'SELECT'), false)::int ELSE 0 END))";

std::string array_of(const std::vector<std::uint64_t>& numbers) {
  std::string list;
  for (auto it : numbers)
    list += (list.empty() ? "" : ",") + std::to_string(it);
  return "{" + list + "}";
}

template <class Number>
std::optional<Number> number(const std::optional<std::string>& field) {
  if (!field)
    return Number{0};
  std::string_view text = *field;
  Number value = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || end != text.data() + text.size())
    return std::nullopt;
  return value;
}

std::vector<std::uint64_t> numbers(std::string_view text) {
  std::vector<std::uint64_t> result;
  while (!text.empty()) {
    std::uint64_t value = 0;
    auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code != std::errc{})
      break;
    result.push_back(value);
    text.remove_prefix(std::min(text.size(), static_cast<std::size_t>(end - text.data()) + 1));
  }
  return result;
}

} // namespace

bool is_of_primary(const position& where) noexcept {
  auto rest = where.lsn.bytes() % 8;
  return rest == 7 || (where.xid && rest != 6);
}

position with_shown(position where) noexcept {
  auto bytes = where.lsn.bytes();
  where.lsn = lsn{bytes - std::min<std::uint64_t>(bytes, bytes % 8 == 7 ? 1 : 2)};
  return where;
}

std::vector<link_statement> spot_question(std::uint64_t system, bool has_timelines,
                                          const std::vector<std::uint64_t>& xids,
                                          bool wants_running) {
  auto newest = has_timelines
                    ? "(SELECT coalesce(max(timeline), 0) FROM fly.timeline WHERE system = " +
                          std::to_string(system) + ")"
                    : std::string{can_tell};
  link_statement reached{"fly_spot_reached",
                         "SELECT set_config('fly.reached', coalesce(CASE WHEN pg_is_in_recovery() "
                         "THEN " +
                             std::string{replayed} +
                             " ELSE pg_current_wal_flush_lsn()::text END, '0/0'), true)"};
  link_statement seen;
  seen.name = std::string{"fly_spot"} + (has_timelines ? "_timelines" : "") +
              (xids.empty() ? "" : "_xids") + (wants_running ? "_running" : "");
  if (!xids.empty())
    seen.parameters.push_back(array_of(xids));
  seen.sql =
      "SELECT r.recovering, current_setting('fly.reached'), CASE WHEN r.recovering "
      "THEN (SELECT received_tli FROM pg_stat_wal_receiver)::int8 "
      "ELSE ('x' || substr(pg_walfile_name(pg_current_wal_flush_lsn()), 1, 8))::bit(32)::int8 "
      "END, " +
      newest + ", " + (xids.empty() ? "''" : visible_among) +
      ", (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::int8, " +
      (wants_running ? running : "''") + " FROM (SELECT pg_is_in_recovery() AS recovering) AS r";
  return {std::move(reached), std::move(seen)};
}

std::optional<spot> read_spot(const link_rows& rows, const server_identity& server,
                              const progress* known) {
  if (rows.size() != 1 || rows.front().size() != 7)
    return std::nullopt;
  const auto& row = rows.front();
  std::string_view reached = row[1] ? std::string_view{*row[1]} : std::string_view{};
  bool next_begun = reached.ends_with('+');
  auto where = lsn::parse(reached.substr(0, reached.size() - (next_begun ? 1 : 0)));
  auto timeline = number<std::uint32_t>(row[2]);
  auto newest = number<std::int64_t>(row[3]); // -1: could be asked, 0: nothing is known
  auto started = number<std::int64_t>(row[5]);
  if (!where || !timeline || !newest || !started)
    return std::nullopt;
  spot result{.has_timelines = *newest != 0,
              .next_begun = next_begun,
              .is_another = *started != server.started_us};
  auto& seen = result.seen;
  seen.system = server.system;
  seen.lsn = *where;
  seen.in_recovery = row[0] == "t";
  seen.timeline = *timeline;
  if (known != nullptr && known->system == server.system)
    seen.history = known->history;
  if (seen.in_recovery) {
    seen.timeline = std::max({seen.timeline, server.timeline,
                              static_cast<std::uint32_t>(std::max<std::int64_t>(*newest, 0))});
  }
  seen.visible_xids = numbers(row[4].value_or(""));
  result.running = numbers(row[6].value_or(""));
  return result;
}

} // namespace fly::repo
