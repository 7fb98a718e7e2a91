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
constexpr auto visible_among = R"((SELECT coalesce(string_agg(x::text, ' '), '')
FROM unnest($1::xid8[]) AS x WHERE CASE WHEN x < pg_snapshot_xmax(pg_current_snapshot())
THEN pg_xact_status(x) = 'committed' END))";

// Where nobody can tell of timelines: whether somebody can now. A schema that one may not use is an
// error to to_regclass.
constexpr auto can_tell_of_timelines = R"(CASE WHEN EXISTS (SELECT FROM pg_namespace
WHERE nspname = 'fly' AND has_schema_privilege(oid, 'USAGE'))
THEN coalesce(has_table_privilege(to_regclass('fly.timeline'), 'SELECT'), false)::int ELSE 0 END)";

// Two statements: the LSN is read before the snapshot in which the timelines are seen. A server
// that is found on its timeline T with an LSN of T has then told of T, too.
constexpr auto reached = R"(SELECT coalesce(CASE WHEN pg_is_in_recovery()
THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END, '0/0'))";

constexpr auto seen_before = R"(SELECT r.recovering,
(extract(epoch FROM pg_postmaster_start_time()) * 1000000)::int8,
CASE WHEN r.recovering THEN (SELECT received_tli FROM pg_stat_wal_receiver)::int8
ELSE ('x' || substr(pg_walfile_name(pg_current_wal_flush_lsn()), 1, 8))::bit(32)::int8 END, )";
constexpr auto seen_after = " FROM (SELECT pg_is_in_recovery() AS recovering) AS r";

/// What is asked: kept by the session, since these are asked again and again.
std::vector<link_statement> questions(const std::vector<std::uint64_t>& xids, std::uint64_t system,
                                      bool has_table, bool whole) {
  std::string list;
  for (auto xid : xids)
    list += (list.empty() ? "" : ",") + std::to_string(xid);
  std::vector<link_statement> result;
  if (whole)
    result.push_back(identity_statement());
  result.push_back({"fly_reached", reached});
  auto& seen = result.emplace_back(link_statement{.name = {}, .sql = seen_before});
  seen.parameters.push_back("{" + list + "}");
  if (has_table) {
    seen.name = "fly_seen";
    seen.sql +=
        "(SELECT coalesce(max(timeline), 0) FROM fly.timeline WHERE system = $2::numeric), ";
    seen.parameters.push_back(std::to_string(system));
  } else {
    seen.name = "fly_seen_without_table";
    seen.sql += can_tell_of_timelines;
    seen.sql += ", ";
  }
  seen.sql += visible_among;
  seen.sql += seen_after;
  return result;
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

pq_link::result_taker collect_to(std::vector<link_rows>& answers) {
  return [&answers](std::size_t, const result_handle& rows) { answers.push_back(to_rows(*rows)); };
}

std::int64_t read_number(const std::optional<std::string>& text) {
  std::int64_t number = 0;
  if (text)
    std::from_chars(text->data(), text->data() + text->size(), number);
  return number;
}

} // namespace

struct replay_watcher::answer {
  lsn where;
  bool recovering;
  std::int64_t started_us;
  std::uint32_t timeline;
  std::uint32_t newest; // of its table, or whether that could be read
  std::vector<std::uint64_t> visible_xids;
};

caf::error replay_watcher::connect() {
  auto opened = pq_link::open(options_.link, clock::now() + options_.connect_timeout);
  if (!opened)
    return std::move(opened.error());
  link_ = std::move(*opened);
  fresh_ = true;
  begun_ = false;
  server_ = {};
  return identify_again();
}

caf::error replay_watcher::identify_again() {
  auto identity = identify(*link_, clock::now() + options_.query_timeout);
  if (!identity)
    return std::move(identity.error());
  identified(*identity);
  return {};
}

/// Takes what the server said it is. Returns whether it is the one from before.
bool replay_watcher::identified(const server_identity& identity) {
  bool same = same_server(identity, server_);
  if (!same) {
    has_history_ = false;
    history_ = {};
    seen_switch_ = {};
  }
  auto before = std::exchange(server_, identity);
  if (same && server_.in_recovery)
    server_.timeline = std::max(server_.timeline, before.timeline); // never back
  return same;
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
  if (std::exchange(begun_, false)) { // of somebody who did not wait for it
    std::vector<link_rows> answers;
    if (auto reason = link_->collect(clock::now() + options_.query_timeout, collect_to(answers)))
      return reason;
  }
  auto before = server_;
  auto asked = questions(xids, server_.system, has_history_, whole);
  auto answers = link_->run(asked, clock::now() + options_.query_timeout);
  if (!answers)
    return std::move(answers.error());
  if (whole) {
    auto identity = read_identity(answers->front());
    if (!identity)
      return std::move(identity.error());
    if (!identified(*identity)) // a pooler has another server behind it
      return ask_on_link(xids, false);
  }
  auto told = read_answer((*answers)[answers->size() - 2], answers->back());
  if (!told)
    return make_error(errc::database_unavailable, "the database does not tell how far it is");
  if (told->recovering != server_.in_recovery || told->started_us != server_.started_us)
    if (auto reason = identify_again()) // promoted, or a pooler has another server behind it
      return reason;
  if (same_server(before, server_) && before.in_recovery && !server_.in_recovery)
    if (auto reason = note_switch(before.timeline))
      return reason;
  if (is_new_history(*told)) {
    if (auto reason = read_history())
      return reason;
  }
  return note(*told);
}

/// Reads the answers of the last two questions; nothing where they make no sense.
std::optional<replay_watcher::answer> replay_watcher::read_answer(const link_rows& reached,
                                                                  const link_rows& told) {
  if (reached.size() != 1 || reached.front().size() != 1 || told.size() != 1 ||
      told.front().size() != 5)
    return std::nullopt;
  auto where = lsn::parse(reached.front().front().value_or(""));
  if (!where)
    return std::nullopt;
  const auto& row = told.front();
  return answer{.where = *where,
                .recovering = row[0] == "t",
                .started_us = read_number(row[1]),
                .timeline = static_cast<std::uint32_t>(read_number(row[2])),
                .newest = static_cast<std::uint32_t>(read_number(row[3])),
                .visible_xids = read_numbers(row[4].value_or(""))};
}

bool replay_watcher::is_new_history(const answer& told) const {
  return has_history_ ? told.newest != history_.newest() : told.newest == 1;
}

/// Takes the answer of the server that is known.
replay_watcher::look replay_watcher::note(const answer& told) {
  server_.timeline = told.recovering ? std::max(server_.timeline, told.timeline) : told.timeline;
  if (told.recovering)
    server_.timeline = std::max(server_.timeline, history_.newest());
  server_.lsn = told.where;
  return look{.server = server_,
              .seen = {.system = server_.system,
                       .timeline = server_.timeline,
                       .lsn = told.where,
                       .in_recovery = told.recovering,
                       .history = history_,
                       .visible_xids = told.visible_xids},
              .fresh = std::exchange(fresh_, false)};
}

std::optional<replay_watcher::look>
replay_watcher::ask_briefly(const std::vector<std::uint64_t>& xids, pq_link::time_point until) {
  if (!link_ || begun_ || fresh_)
    return std::nullopt;
  begun_ = true;
  if (link_->begin(questions(xids, server_.system, has_history_, false)) ||
      !link_->has_answer(until))
    return std::nullopt;
  begun_ = false;
  std::vector<link_rows> answers;
  if (auto reason = link_->collect(clock::now() + options_.query_timeout, collect_to(answers))) {
    link_.reset();
    return std::nullopt;
  }
  auto told = answers.size() == 2 ? read_answer(answers[0], answers[1]) : std::nullopt;
  if (!told || told->recovering != server_.in_recovery || told->started_us != server_.started_us ||
      is_new_history(*told))
    return std::nullopt;
  return note(*told);
}

} // namespace fly::repo
