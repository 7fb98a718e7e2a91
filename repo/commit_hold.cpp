#include "fly/repo/commit_hold.hpp"

#include <algorithm>
#include <utility>

#include "fly/actors/error.hpp"
#include "fly/repo/server_identity.hpp"

namespace fly::repo {

namespace {

constexpr const char* held_detail = "held";
constexpr auto take_lock = "SELECT pg_advisory_xact_lock(7380407340034387044)";

/// For the server, which is to end what its client no longer ends: a second later than that would.
std::string milliseconds_until(commit_hold::clock::time_point until) {
  auto left = std::chrono::ceil<std::chrono::milliseconds>(until - commit_hold::clock::now());
  return std::to_string(std::max<std::int64_t>(left.count(), 1) + 1000);
}

/// Reads how far the log is. Errors: as `pq_link::query`.
caf::error read_end_of_log(pq_link& link, pq_link::time_point deadline, lsn& where) {
  auto rows = link.query("SELECT pg_current_wal_flush_lsn()", deadline);
  if (!rows)
    return std::move(rows.error());
  auto text = rows->size() == 1 ? rows->front().front().value_or("") : "";
  auto read = lsn::parse(text);
  if (!read)
    return make_error(errc::database_unavailable, "the database does not tell how far it is");
  where = *read;
  return {};
}

} // namespace

bool says_held(const server_error& what) {
  return what.sqlstate == "42704" && what.message.find("fly.writes_are_held") != std::string::npos;
}

caf::error held_error() {
  return make_error(errc::not_primary, "writes are held here: the primary is being moved",
                    {{held_detail, "1"}});
}

bool is_held(const caf::error& reason) {
  return reason == errc::not_primary && details_of(reason).count(held_detail) != 0;
}

commit_hold::answer commit_hold::ask(std::uint32_t timeline, clock::time_point until) {
  std::lock_guard guard{mutex_};
  bool kept = link_ && timeline == asked_on_ && prolong(until);
  if (!kept)
    if (auto reason = begin(timeline, until)) {
      link_.reset();
      return {.reason = text_of(reason)};
    }
  return {.held = held_, .waits = !held_, .kept = kept, .where = where_};
}

void commit_hold::end() {
  std::lock_guard guard{mutex_};
  link_.reset();
}

void commit_hold::expire(clock::time_point now) {
  std::lock_guard guard{mutex_};
  if (until_ <= now)
    link_.reset();
}

commit_hold::clock::time_point commit_hold::answer_by(clock::time_point until) const {
  return std::min(until, clock::now() + connect_timeout_);
}

/// Opens a session and gets in line for the lock. Leaves everything as it was after an error.
caf::error commit_hold::begin(std::uint32_t timeline, clock::time_point until) {
  auto deadline = answer_by(until);
  auto link = pq_link::open(link_options_, deadline);
  if (!link)
    return std::move(link.error());
  auto longest = milliseconds_until(until);
  auto begun =
      link->query("BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = " + longest +
                      "; SET LOCAL idle_in_transaction_session_timeout = " + longest,
                  deadline);
  if (!begun)
    return std::move(begun.error());
  auto server = identify(*link, deadline, link_options_.pooled);
  if (!server)
    return std::move(server.error());
  if (!server->writable() || (timeline != 0 && server->timeline != timeline))
    return make_error(errc::not_primary,
                      "the database is not writable on timeline " + std::to_string(timeline));
  // Another's lock keeps it waiting; it is in line by then.
  constexpr std::chrono::milliseconds patience{200};
  auto reason = link->start(take_lock);
  auto came = reason ? std::nullopt : link->answer(std::min(until, clock::now() + patience));
  if (reason || (came && !*came))
    return reason ? reason : came->error();
  position where{server->system, server->timeline, {}, std::nullopt};
  if (came && (reason = read_end_of_log(*link, deadline, where.lsn)))
    return reason;
  link_ = std::move(*link); // what waited before was in line until now
  held_ = came.has_value();
  asked_on_ = timeline;
  where_ = where;
  until_ = until;
  return {};
}

/// Takes the lock that was waited for, where it has come. Returns whether it has, or is still
/// waited for.
bool commit_hold::look() {
  auto came = link_->answer(clock::now() + std::chrono::milliseconds{1});
  if (!came)
    return link_->connected();
  held_ = *came && !read_end_of_log(*link_, answer_by(until_), where_.lsn);
  return held_;
}

/// Makes it last until then. Returns whether it is still there.
bool commit_hold::prolong(clock::time_point until) {
  if (!held_ && !look())
    return false;
  if (held_) {
    until_ = until;
    return bool(
        link_->query("SET LOCAL idle_in_transaction_session_timeout = " + milliseconds_until(until),
                     answer_by(until)));
  }
  // The timeout of a statement that waits cannot be changed: a second one gets in line in time.
  auto now = clock::now();
  return until_ - now > (until - now) / 2 || !begin(asked_on_, until);
}

} // namespace fly::repo
