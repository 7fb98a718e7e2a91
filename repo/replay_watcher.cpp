#include "fly/repo/replay_watcher.hpp"

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <utility>

#include "fly/actors/error.hpp"
#include "fly/repo/schema.hpp"

namespace fly::repo {

namespace {

using clock = std::chrono::steady_clock;

// A transaction is visible on a replica once pg_xact_status says "committed". The snapshot does not
// tell: in recovery pg_current_snapshot() lists no running transactions, so that
// pg_visible_in_snapshot holds for one that still runs as soon as a later one is replayed (tried on
// PostgreSQL 15). pg_xact_status fails for ids that the server has not seen, hence the CASE.
std::string visible_among(const std::vector<std::uint64_t>& xids) {
  if (xids.empty())
    return "''";
  std::string list;
  for (auto xid : xids)
    list += (list.empty() ? "" : ",") + std::to_string(xid);
  return "(SELECT string_agg(x::text, ' ') FROM unnest('{" + list +
         "}'::text[]::xid8[]) AS x WHERE CASE WHEN x < pg_snapshot_xmax(pg_current_snapshot()) "
         "THEN pg_xact_status(x) = 'committed' END)";
}

// Where nobody can tell of timelines: whether somebody can now. A schema that one may not use is an
// error to to_regclass.
constexpr auto can_tell_of_timelines = R"(CASE WHEN EXISTS (SELECT FROM pg_namespace
WHERE nspname = 'fly' AND has_schema_privilege(oid, 'USAGE'))
THEN coalesce(has_table_privilege(to_regclass('fly.timeline'), 'SELECT'), false)::int ELSE 0 END)";

// Two statements: the LSN is read before the snapshot in which the timelines are seen. A server
// that is found on its timeline T with an LSN of T has then told of T, too.
std::string question(const std::vector<std::uint64_t>& xids, std::uint64_t system, bool has_table) {
  auto newest = has_table ? "(SELECT coalesce(max(timeline), 0) FROM fly.timeline WHERE system = " +
                                std::to_string(system) + ")"
                          : std::string{can_tell_of_timelines};
  return "SELECT set_config('fly.reached', coalesce(CASE WHEN pg_is_in_recovery() "
         "THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END, '0/0')::text, false); "
         "SELECT r.recovering, (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::int8, "
         "current_setting('fly.reached'), CASE WHEN r.recovering "
         "THEN (SELECT received_tli FROM pg_stat_wal_receiver)::int8 "
         "ELSE ('x' || substr(pg_walfile_name(pg_current_wal_flush_lsn()), 1, 8))::bit(32)::int8 "
         "END, " +
         newest + ", " + visible_among(xids) +
         " FROM (SELECT pg_is_in_recovery() AS recovering) AS r";
}

std::vector<std::uint64_t> read_numbers(std::string_view text) {
  std::vector<std::uint64_t> result;
  const char* at = text.data();
  const char* end = at + text.size();
  while (at < end) {
    std::uint64_t number = 0;
    auto [next, code] = std::from_chars(at, end, number);
    if (code != std::errc{})
      break;
    result.push_back(number);
    at = next + 1;
  }
  return result;
}

std::int64_t read_number(const std::optional<std::string>& text) {
  std::int64_t number = 0;
  if (text)
    std::from_chars(text->data(), text->data() + text->size(), number);
  return number;
}

} // namespace

caf::error replay_watcher::connect() {
  auto opened = pq_link::open(options_.link, clock::now() + options_.connect_timeout);
  if (!opened)
    return std::move(opened.error());
  link_ = std::move(*opened);
  fresh_ = true;
  server_ = {};
  return identify_again();
}

caf::error replay_watcher::identify_again() {
  auto identity = identify(*link_, clock::now() + options_.query_timeout);
  if (!identity)
    return std::move(identity.error());
  bool same = same_server(*identity, server_);
  if (!same) {
    has_history_ = false;
    history_ = {};
    seen_switch_ = {};
  } else if (identity->in_recovery) {
    identity->timeline = std::max(identity->timeline, server_.timeline); // never back
  }
  server_ = *identity;
  return {};
}

caf::error replay_watcher::read_history() {
  auto read = read_timelines(*link_, server_.system, clock::now() + options_.query_timeout);
  if (!read)
    return std::move(read.error());
  history_ = std::move(*read);
  history_.add(seen_switch_.first, seen_switch_.second);
  has_history_ = true;
  return {};
}

/// Notes where a promotion has left the timeline, which replay stands at from then on: for servers
/// without a table of timelines, and until its row is there.
caf::error replay_watcher::note_switch(std::uint32_t parent) {
  auto rows =
      link_->query("SELECT pg_last_wal_replay_lsn()", clock::now() + options_.query_timeout);
  if (!rows)
    return std::move(rows.error());
  auto where = rows->size() == 1 ? lsn::parse(rows->front()[0].value_or("")) : std::nullopt;
  if (where && server_.timeline == parent + 1) // else others were between, which nobody has seen
    seen_switch_ = {server_.timeline, {parent, where}};
  history_.add(seen_switch_.first, seen_switch_.second);
  return {};
}

caf::expected<replay_watcher::look> replay_watcher::ask(const std::vector<std::uint64_t>& xids,
                                                        bool whole) {
  if (link_) {
    auto seen = ask_on_link(xids, whole);
    if (seen)
      return seen;
    bool broken = !link_->connected();
    link_.reset();
    if (!broken)
      return seen; // no answer in time, or no right to ask: nothing that a new connection heals
  }
  // The old connection may have broken long ago, which says nothing of the server now.
  auto reason = connect();
  if (!reason) {
    auto seen = ask_on_link(xids, false);
    if (seen)
      return seen;
    reason = std::move(seen.error());
  }
  link_.reset();
  return reason;
}

caf::expected<replay_watcher::look>
replay_watcher::ask_on_link(const std::vector<std::uint64_t>& xids, bool whole) {
  if (whole)
    if (auto reason = identify_again())
      return reason;
  auto rows = link_->query(question(xids, server_.system, has_history_),
                           clock::now() + options_.query_timeout);
  if (!rows)
    return std::move(rows.error());
  const auto* row = rows->size() == 1 && rows->front().size() == 6 ? &rows->front() : nullptr;
  auto where = row == nullptr ? std::nullopt : lsn::parse((*row)[2].value_or(""));
  if (!where)
    return make_error(errc::database_unavailable, "the database does not tell how far it is");
  bool recovering = (*row)[0] == "t";
  if (recovering != server_.in_recovery || read_number((*row)[1]) != server_.started_us) {
    auto before = server_;
    if (auto reason = identify_again()) // promoted, or a pooler has another server behind it
      return reason;
    if (same_server(before, server_) && before.in_recovery && !server_.in_recovery)
      if (auto reason = note_switch(before.timeline))
        return reason;
  }
  auto timeline = static_cast<std::uint32_t>(read_number((*row)[3]));
  server_.timeline = recovering ? std::max(server_.timeline, timeline) : timeline;
  auto newest = static_cast<std::uint32_t>(read_number((*row)[4]));
  if (has_history_ ? newest != history_.newest() : newest == 1) {
    if (auto reason = read_history())
      return reason;
  }
  if (recovering)
    server_.timeline = std::max(server_.timeline, history_.newest());
  server_.lsn = *where;
  return look{.server = server_,
              .seen = {.system = server_.system,
                       .timeline = server_.timeline,
                       .lsn = *where,
                       .in_recovery = recovering,
                       .history = history_,
                       .visible_xids = read_numbers((*row)[5].value_or(""))},
              .fresh = std::exchange(fresh_, false)};
}

} // namespace fly::repo
