// In the place of the file of the same name: connections to the simulated servers, which know the
// statements of fly's own rooms (lease, role, timelines, how far a replica is) and no others.
#include "fly/repo/pq_link.hpp"

#include <charconv>
#include <cstdio>
#include <utility>

#include "fly/actors/error.hpp"
#include "fly/repo/schema.hpp"
#include "fly/repo/sql_error.hpp"
#include "tests/simulation/postgres.hpp"
#include "tests/simulation/sessions.hpp"
#include "tests/simulation/world.hpp"

struct pg_conn {
  fly::simulation::session session;
  std::string sent{}; // by `start`
};

namespace fly::repo {

using simulation::postgres;

namespace {

using row = std::vector<std::optional<std::string>>;

std::string flag(bool value) {
  return value ? "t" : "f";
}

/// Reads the numbers in `text` from `from` on.
std::vector<std::uint64_t> numbers_in(std::string_view text, std::size_t from) {
  std::vector<std::uint64_t> result;
  const char* at = text.data() + std::min(from, text.size());
  const char* end = text.data() + text.size();
  while (at < end) {
    std::uint64_t number = 0;
    auto [next, code] = std::from_chars(at, end, number);
    if (code != std::errc{}) {
      ++at;
      continue;
    }
    result.push_back(number);
    at = next;
  }
  return result;
}

caf::error refused(const char* sqlstate, const char* message) {
  return to_error({.severity = "ERROR", .sqlstate = sqlstate, .message = message});
}

link_rows identity_of(postgres& server) {
  std::optional<std::string> lag;
  if (server.in_recovery())
    lag = "0";
  return {row{std::to_string(postgres::system), std::to_string(server.started_us()),
              server.host().id + ":5432", flag(server.in_recovery()), flag(server.in_recovery()),
              std::to_string(server.timeline()), to_string(server.reached()), lag}};
}

link_rows seen_of(postgres& server, const link_statement& what) {
  std::string visible;
  for (auto xid : numbers_in(*what.parameters.at(0), 0))
    if (server.rows().xids.contains(xid))
      visible += (visible.empty() ? "" : " ") + std::to_string(xid);
  std::uint64_t newest = 1; // can be read, where it was not before
  if (what.name == "fly_seen") {
    const auto& known = server.rows().timelines;
    newest = known.empty() ? 0 : known.rbegin()->first;
  }
  return {row{flag(server.in_recovery()), std::to_string(server.started_us()),
              std::to_string(server.timeline()), std::to_string(newest), visible}};
}

link_rows timelines_of(postgres& server) {
  link_rows result;
  for (const auto& [timeline, start] : server.rows().timelines)
    result.push_back({std::to_string(timeline), std::to_string(start.parent),
                      start.left_at ? std::optional{to_string(*start.left_at)} : std::nullopt});
  return result;
}

/// INSERT INTO fly.timeline ... VALUES (system, timeline, parent, 'lsn' or NULL), ...
caf::expected<link_rows> note_timelines(postgres& server, std::string_view sql) {
  if (server.in_recovery())
    return refused("25006", "cannot execute INSERT in a read-only transaction");
  std::map<std::uint32_t, timeline_start> fresh;
  for (auto at = sql.find("VALUES ") + 7; at < sql.size() && sql[at] == '(';) {
    auto end = sql.find(')', at);
    auto tuple = sql.substr(at, end - at);
    auto numbers = numbers_in(tuple, 0);
    auto quote = tuple.find('\'');
    timeline_start start{static_cast<std::uint32_t>(numbers.at(2)), std::nullopt};
    if (quote != std::string_view::npos)
      start.left_at = lsn::parse(tuple.substr(quote + 1, tuple.rfind('\'') - quote - 1));
    fresh.emplace(static_cast<std::uint32_t>(numbers.at(1)), start);
    at = end + 3;
  }
  server.commit(server.assign_xid(), [fresh](simulation::tables& rows) {
    for (const auto& [timeline, start] : fresh) {
      auto& row = rows.timelines.try_emplace(timeline, start).first->second;
      if (!row.left_at && start.left_at)
        row = start;
    }
  });
  return link_rows{};
}

/// Returns the text between the first pair of quotes from `from` on, which it moves behind it.
std::string quoted(std::string_view sql, std::size_t& from) {
  auto begin = sql.find('\'', from) + 1;
  auto end = sql.find('\'', begin);
  from = end + 1;
  return std::string{sql.substr(begin, end - begin)};
}

caf::expected<link_rows> answer_lease(simulation::session& on, std::string_view sql) {
  auto& server = on.server();
  if (server.in_recovery())
    return refused("25006", "cannot execute UPDATE in a read-only transaction");
  auto at = sql.find("fly.take_lease(");
  auto me = quoted(sql, at);
  auto numbers = numbers_in(sql, at);
  auto run = numbers.at(0);
  auto lasts = std::chrono::milliseconds{numbers.at(1)};
  auto& rows = server.rows();
  auto now = simulation::now() + server.clock_offset; // the server's own clock
  bool own = rows.lease_holder == me && rows.lease_run == run && rows.lease_expires >= now &&
             rows.epoch.timeline == server.timeline();
  bool free = rows.lease_expires < now || (rows.lease_holder == me && rows.lease_run <= run);
  if (own || free) {
    cluster::epoch turn = rows.epoch;
    if (!own)
      turn = {server.timeline(), rows.epoch.counter + 1};
    server.commit(server.assign_xid(), [me, run, turn, until = now + lasts](auto& into) {
      into.lease_holder = me;
      into.lease_run = run;
      into.lease_expires = until;
      into.epoch = turn;
    });
  }
  auto left = std::chrono::duration_cast<std::chrono::milliseconds>(rows.lease_expires - now);
  return link_rows{{flag(own || free), rows.lease_holder,
                    std::to_string(std::max<std::int64_t>(left.count(), 0)),
                    std::to_string(rows.epoch.timeline), std::to_string(rows.epoch.counter)}};
}

caf::expected<link_rows> end_lease_of(simulation::session& on, std::string_view sql) {
  auto& server = on.server();
  if (server.in_recovery())
    return refused("25006", "cannot execute UPDATE in a read-only transaction");
  auto at = sql.find("fly.end_lease(");
  auto me = quoted(sql, at);
  auto run = numbers_in(sql, at).at(0);
  if (server.rows().lease_holder == me && server.rows().lease_run == run)
    server.commit(server.assign_xid(),
                  [](auto& into) { into.lease_expires = simulation::moment{-1}; });
  return link_rows{};
}

caf::expected<link_rows> answer_to(simulation::session& on, const std::string& sql) {
  auto& server = on.server();
  auto has = [&](const char* part) { return sql.find(part) != std::string::npos; };
  if (has("fly.take_lease("))
    return answer_lease(on, sql);
  if (has("fly.end_lease("))
    return end_lease_of(on, sql);
  if (has("pg_control_system()"))
    return identity_of(server);
  if (has("INSERT INTO fly.timeline"))
    return note_timelines(server, sql);
  if (has("FROM fly.timeline"))
    return timelines_of(server);
  if (has("max(version)"))
    return link_rows{{std::to_string(schema_version)}};
  if (has("fly.schema"))
    return link_rows{{"t"}};
  if (has("rolreplication"))
    return link_rows{{"f"}};
  if (has("DELETE FROM fly.ledger"))
    return link_rows{{"0"}};
  if (sql == "SELECT pg_last_wal_replay_lsn()") {
    auto where = server.replayed();
    return link_rows{{where ? std::optional{to_string(*where)} : std::nullopt}};
  }
  std::fprintf(stderr, "the simulated server does not know: %s\n", sql.c_str());
  std::abort();
}

} // namespace

void pq_link::finish::operator()(pg_conn* raw) const {
  delete raw;
}

pq_link::pq_link(pg_conn* raw, std::unique_ptr<server_listener> heard)
    : heard_(std::move(heard)), raw_(raw) {}

pq_link::pq_link(pq_link&&) noexcept = default;
pq_link& pq_link::operator=(pq_link&&) noexcept = default;
pq_link::~pq_link() = default;

caf::expected<pq_link> pq_link::open(const link_options&, time_point deadline) {
  auto opened = simulation::session::open(deadline);
  if (!opened)
    return std::move(opened.error());
  return pq_link{new pg_conn{std::move(*opened)}, std::make_unique<server_listener>()};
}

caf::expected<link_rows> pq_link::query(const std::string& sql, time_point deadline) {
  caf::expected<link_rows> result{link_rows{}};
  auto& on = raw_->session;
  if (auto broken = on.round_trip(deadline, [&] { result = answer_to(on, sql); }))
    return broken;
  return result;
}

caf::error pq_link::start(const std::string& sql) {
  raw_->sent = sql;
  return {};
}

std::optional<caf::expected<link_rows>> pq_link::answer(time_point deadline) {
  return query(raw_->sent, deadline);
}

caf::expected<std::vector<link_rows>> pq_link::run(std::span<const link_statement> statements,
                                                   time_point deadline) {
  std::vector<link_rows> result;
  auto& on = raw_->session;
  auto all = [&] {
    for (const auto& each : statements) {
      if (each.name == "fly_reached")
        result.push_back({{to_string(on.server().reached())}});
      else if (each.name.starts_with("fly_seen"))
        result.push_back(seen_of(on.server(), each));
      else
        result.push_back(identity_of(on.server()));
    }
  };
  if (auto broken = on.round_trip(deadline, all))
    return broken;
  return result;
}

/// Of verbs that write, which no program of the simulation uses.
caf::error pq_link::exchange(std::span<const link_statement>, time_point, const result_taker&) {
  return refused("0A000", "not simulated");
}

/// Of threads that ask for themselves, which there are none of.
caf::error pq_link::begin(std::span<const link_statement>) {
  return refused("0A000", "not simulated");
}

caf::error pq_link::collect(time_point, const result_taker&) {
  return refused("0A000", "not simulated");
}

bool pq_link::has_answer(time_point) const {
  return false;
}

std::string pq_link::quote(std::string_view text) const {
  return "'" + std::string{text} + "'";
}

bool pq_link::connected() const {
  return raw_ != nullptr && raw_->session.is_open();
}

bool pq_link::idle() const {
  return connected();
}

bool pq_link::in_transaction() const {
  return false;
}

bool pq_link::outside_transaction() const {
  return true;
}

bool pq_link::in_aborted_transaction() const {
  return false;
}

void pq_link::disown() noexcept {}

} // namespace fly::repo
