#include "fly/repo/local_read.hpp"

#include <algorithm>
#include <optional>
#include <thread>
#include <utility>

#include "fly/actors/error.hpp"
#include "fly/actors/pending.hpp"
#include "fly/repo/database_core.hpp"
#include "fly/repo/ending_commits.hpp"
#include "fly/repo/sql_error.hpp"
#include "fly/repo/wait_help.hpp"
#include "fly/rpc/current_call.hpp"

namespace fly::repo {

namespace {

using clock = std::chrono::steady_clock;

caf::error refused(const position& where, const progress& seen, verdict what) {
  auto text = to_string(where) + " is wanted, the local database has " +
              to_string(position{seen.system, seen.timeline, seen.lsn, std::nullopt});
  switch (what) {
  case verdict::lost:
    return make_error(errc::may_be_lost,
                      text + ": what is wanted may be lost, another server became primary");
  case verdict::foreign:
    return make_error(errc::foreign_position, text + ": it is of another database system, or of a "
                                                     "history that this server does not share");
  default:
    return make_error(errc::not_visible, text);
  }
}

/// One look at the server by the connection that reads, and what came of it.
struct attempt {
  database_core& core;
  const read_wants& wants;
  ending_commits& commits;
  bool trusts; // what others have seen there, where that is enough
  clock::time_point began = clock::now();
  bool asks_timelines = core.tells_timelines();
  std::optional<sighting> known = core.tracker()->sighted();
  bool late = false;    // the check says so, and nothing was read
  bool ends = false;    // the same, but only for a commit that may be about to end
  bool again = false;   // nothing was read: the question was wrong for this database now
  bool moved = false;   // it is not the database that the connection was opened to
  bool begun = false;   // nothing was in the way of the read
  bool unasked = false; // the same, by what others have seen
  read_end end{};

  std::vector<link_statement> question(const server_identity& server) {
    begun = unasked = false;
    std::vector<std::uint64_t> xids;
    for (const auto& it : wants.positions)
      if (it.xid)
        xids.push_back(*it.xid);
    return spot_question(server.system, asks_timelines, xids, !all_of_primary());
  }

  bool all_of_primary() const {
    return std::all_of(wants.positions.begin(), wants.positions.end(), is_of_primary);
  }

  std::optional<spot> read(const link_rows& rows, const server_identity& server) const {
    auto identity = server;
    if (known && same_server(known->server, server))
      identity.timeline = std::max(identity.timeline, known->seen.timeline);
    return read_spot(rows, identity, known ? &known->seen : nullptr);
  }

  /// Whether others have seen there what is wanted. What a replica has shown a primary is asked
  /// for, since it may not be visible there yet.
  bool is_known(const server_identity& server, clock::time_point opened) {
    unasked = trusts && !wants.primary && known && known->holds_for(server, opened) &&
              (known->seen.in_recovery || all_of_primary()) &&
              std::all_of(wants.positions.begin(), wants.positions.end(), [this](const auto& it) {
                return judge(it, known->seen) == verdict::visible;
              });
    begun = unasked;
    return unasked;
  }

  caf::error before(const link_rows& rows, const server_identity& server) {
    auto at = read(rows, server);
    if (!at)
      return make_error(errc::database_unavailable, "the database does not tell how far it is");
    if (auto reason = check_question(*at))
      return reason;
    if (wants.primary && at->seen.in_recovery)
      return make_error(errc::not_primary, "the local database is a replica");
    for (const auto& it : wants.positions)
      if (auto what = judge(it, at->seen); what != verdict::visible) {
        late = what == verdict::wait;
        return refused(it, at->seen, what);
      }
    if (!at->seen.in_recovery && !all_of_primary() && commits.look(at->running, clock::now())) {
      ends = true;
      return make_error(errc::not_visible, "what a replica has shown may not be visible here yet");
    }
    begun = true;
    return {};
  }

  /// Why the question was not the one for this server.
  caf::error check_question(const spot& at) {
    if (at.is_another) {
      again = moved = true;
      return make_error(errc::database_unavailable, "a pooler has another server behind it");
    }
    if (!asks_timelines && at.has_timelines) {
      again = true;
      core.tells_timelines(true);
      return make_error(errc::not_visible, "the timelines were not asked");
    }
    return {};
  }

  /// Takes the answer behind the read. Why that counts for nothing, where it does.
  caf::error after(const link_rows& rows, const server_identity& server) {
    end = {server, read(rows, server)};
    if (!end.at)
      return {};
    if (unasked)
      if (auto reason = check_question(*end.at))
        return reason;
    if (end.at->is_another)
      end.at.reset();
    else
      core.tracker()->saw(server, end.at->seen, began);
    return {};
  }

  caf::error run(clock::time_point deadline, std::optional<std::chrono::milliseconds> answer_max,
                 const transaction_runner::read_body& body, const one_query* one) {
    checked_read check{
        .question = [this](const server_identity& server) { return question(server); },
        .before = [this](const auto& rows, const auto& server) { return before(rows, server); },
        .is_known = [this](const auto& server, auto opened) { return is_known(server, opened); },
        .after = [this](const auto& rows, const auto& server) { return after(rows, server); },
        .answer_max = answer_max};
    auto reason = core.runner().run_read(deadline, body, &check, one);
    if (moved) // it has been given back, and others are no better
      core.pool().drop_idle();
    if (reason == errc::sql_failed && !begun) { // the question failed, nothing ran
      again = asks_timelines || was_promoted(reason);
      if (!was_promoted(reason)) // without fly's tables, or the right to read them
        core.tells_timelines(false);
    }
    return reason;
  }
};

caf::error wait_for(const database_core& core, const position& where, clock::time_point until) {
  wait_help help;
  auto outcome = rpc::ask_cancellable<caf::unit_t>(
      until,
      [&](actors::completion<caf::unit_t> done) {
        return core.tracker()->wait_for(where, until, std::move(done));
      },
      [&] { help.run(until); });
  return outcome ? caf::error{} : outcome.error();
}

/// How long the local server may take to answer at all where the read has somewhere else to go
/// after `until`: at least so long that a busy machine does not look like one that is down, and
/// half of the time is left for the others.
std::optional<std::chrono::milliseconds> answer_bound(clock::time_point until,
                                                      clock::time_point deadline) {
  using std::chrono::milliseconds;
  if (until >= deadline)
    return std::nullopt;
  auto now = clock::now();
  auto least = std::min<clock::duration>(milliseconds{500}, (deadline - now) / 2);
  auto bound = std::max<clock::duration>(until - now, least);
  return std::max(std::chrono::ceil<milliseconds>(bound), milliseconds{1});
}

} // namespace

caf::expected<read_end> read_when_there(database_core& core, const read_wants& wants,
                                        clock::time_point until, clock::time_point deadline,
                                        const transaction_runner::read_body& body,
                                        const one_query* one) {
  if (core.in_sandbox()) {
    if (auto reason = core.runner().run_read(deadline, body))
      return reason;
    return read_end{};
  }
  auto answer_max = answer_bound(until, deadline);
  ending_commits commits;
  // Where the tracker's server is there and the connection's is not: other connections are tried.
  auto pause = std::chrono::milliseconds{0};
  constexpr std::chrono::milliseconds pause_max{20};
  for (int questions = 1;; ++questions) {
    attempt now{core, wants, commits, questions == 1};
    auto reason = now.run(deadline, answer_max, body, one);
    if (!reason)
      return std::move(now.end);
    if (now.ends && clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
      continue;
    }
    constexpr int questions_max = 3;
    if (now.again && questions < questions_max)
      continue;
    if (!now.late || clock::now() + pause >= until)
      return reason;
    for (const auto& it : wants.positions)
      if (auto late = wait_for(core, it, until))
        return late == errc::not_visible ? reason : late;
    std::this_thread::sleep_for(pause);
    pause = std::min(pause_max, pause + std::chrono::milliseconds{1});
  }
}

} // namespace fly::repo
