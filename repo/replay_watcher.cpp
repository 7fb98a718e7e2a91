#include "fly/repo/replay_watcher.hpp"

#include <charconv>
#include <string>
#include <string_view>
#include <utility>

#include "fly/actors/error.hpp"

namespace fly::repo {

namespace {

using clock = std::chrono::steady_clock;

// A transaction is visible on a replica once pg_xact_status says "committed". The snapshot does not
// tell: in recovery pg_current_snapshot() lists no running transactions, so that
// pg_visible_in_snapshot holds for one that still runs as soon as a later one is replayed (tried on
// PostgreSQL 15). pg_xact_status fails for ids that the server has not seen, hence the CASE.
std::string question(const std::vector<std::uint64_t>& xids) {
  std::string list;
  for (auto xid : xids)
    list += (list.empty() ? "" : ",") + std::to_string(xid);
  std::string visible = xids.empty() ? "''"
                                     : "(SELECT string_agg(x::text, ' ') FROM unnest('{" + list +
                                           "}'::text[]::xid8[]) AS x WHERE CASE WHEN x < "
                                           "pg_snapshot_xmax(pg_current_snapshot()) "
                                           "THEN pg_xact_status(x) = 'committed' END)";
  return "SELECT r.recovering, (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::int8, "
         "coalesce(CASE WHEN r.recovering THEN pg_last_wal_replay_lsn() "
         "ELSE pg_current_wal_flush_lsn() END, '0/0'), "
         "CASE WHEN NOT r.recovering THEN "
         "('x' || substr(pg_walfile_name(pg_current_wal_flush_lsn()), 1, 8))::bit(32)::int8 END, " +
         visible + " FROM (SELECT pg_is_in_recovery() AS recovering) AS r";
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
  return identify_again();
}

caf::error replay_watcher::identify_again() {
  auto identity = identify(*link_, clock::now() + options_.query_timeout);
  if (!identity)
    return std::move(identity.error());
  server_ = *identity;
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
  auto rows = link_->query(question(xids), clock::now() + options_.query_timeout);
  if (!rows)
    return std::move(rows.error());
  const auto* row = rows->size() == 1 && rows->front().size() == 5 ? &rows->front() : nullptr;
  auto where = row == nullptr ? std::nullopt : lsn::parse((*row)[2].value_or(""));
  if (!where)
    return make_error(errc::database_unavailable, "the database does not tell how far it is");
  bool recovering = (*row)[0] == "t";
  if (recovering != server_.in_recovery || read_number((*row)[1]) != server_.started_us)
    if (auto reason = identify_again()) // promoted, or a pooler has another server behind it
      return reason;
  if (!recovering)
    server_.timeline = static_cast<std::uint32_t>(read_number((*row)[3]));
  server_.lsn = *where;
  return look{.server = server_,
              .seen = {.system = server_.system,
                       .timeline = server_.timeline,
                       .lsn = *where,
                       .visible_xids = read_numbers((*row)[4].value_or(""))},
              .fresh = std::exchange(fresh_, false)};
}

} // namespace fly::repo
