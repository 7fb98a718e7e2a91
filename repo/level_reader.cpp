#include "fly/repo/level_reader.hpp"

#include <algorithm>
#include <utility>

#include "fly/actors/error.hpp"
#include "fly/cluster/node.hpp"
#include "fly/repo/database_core.hpp"
#include "fly/repo/one_statement.hpp"
#include "fly/repo/remote_read.hpp"
#include "fly/repo/serving.hpp"
#include "fly/repo/statement.hpp"
#include "fly/rpc/current_call.hpp"
#include "fly/rpc/endpoint.hpp"
#include "fly/rpc/verbs.hpp"

namespace fly::repo {

using clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

struct level_reader::statement {
  const std::string& sql;
  const std::vector<parameter>& parameters;
  result& into;
};

namespace {

caf::error wrong(const std::string& what) {
  return make_error(errc::invalid_argument, what);
}

std::chrono::milliseconds left_until(clock::time_point deadline) {
  auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock::now());
  return std::max<std::chrono::milliseconds>(left, 1ms);
}

/// Returns what a member's announcement says of how far it is.
progress announced(const cluster::claim& what, const timeline_history& history) {
  return {.system = what.system,
          .timeline = what.timeline,
          .lsn = lsn{what.lsn},
          .in_recovery = what.role != cluster::claim::role::primary,
          .history = history};
}

} // namespace

caf::expected<level> level_of(const call_options& options) {
  if (auto reason = rpc::check_timeout(options.timeout))
    return reason;
  auto wanted = options.level.value_or(options.session ? level::session : level::eventual);
  if (auto reason = wanted.check())
    return reason;
  if (wanted == level::session && !options.session)
    return wrong("level session needs a session: db.with({.session = user})");
  if (options.otherwise > otherwise::primary)
    return wrong("otherwise " + std::to_string(static_cast<int>(options.otherwise)) +
                 " is none: wait, replica or primary");
  if (options.patience < 0ms || options.patience > 24h)
    return wrong("patience is " + std::to_string(options.patience.count()) +
                 " ms, not 0 ms to a day");
  return wanted;
}

level_reader::level_reader(const rpc::endpoint& rpc, std::shared_ptr<database_core> core)
    : rpc_(rpc), core_(std::move(core)),
      primary_(rpc, builtin_name(primary_position.name, core_->name())) {}

/// Whether this node's own database is the primary's, as far as anybody knows.
bool level_reader::primary_here() const {
  return core_->roles().report().role == database_role::primary && rpc_.node().is_primary();
}

caf::expected<read_wants> level_reader::wants_of(const read_call& call) {
  read_wants result;
  auto kind = call.wanted.kind();
  if (core_->in_sandbox() || kind == level::kind::eventual)
    return result;
  if (call.options.session)
    if (auto seen = call.options.session->position())
      result.positions.push_back(*seen);
  if (kind == level::kind::session)
    return result;
  if (primary_here()) {
    result.primary = true;
    return result;
  }
  auto enough = kind == level::kind::bounded
                    ? primary_.enough_for(call.wanted.lag(), call.begun, call.deadline)
                    : primary_.ask(call.deadline);
  if (!enough)
    return std::move(enough.error());
  result.positions.push_back(*enough);
  return result;
}

/// Notes and reports a read that is done.
void level_reader::finish(const read_call& call, read_report report,
                          const std::optional<progress>& seen) {
  auto user = call.options.session;
  if (report.where && user)
    user->read(*report.where, seen ? seen->history : timeline_history{}, call.noted);
  if (call.options.report == nullptr)
    return;
  report.obtained = report.primary ? level::strong : call.wanted;
  if (report.primary) {
    report.lag = 0us;
  } else if (seen) {
    report.lag = primary_.lag_of(*seen);
  }
  *call.options.report = std::move(report);
}

caf::error level_reader::read_local(const read_call& call, const read_wants& wants,
                                    time_point until, const read_body& body, const one_query* one) {
  auto end = read_when_there(*core_, wants, until, call.deadline, body, one);
  if (!end)
    return std::move(end.error());
  auto self = rpc_.node().self();
  read_report report{.member = self.id, .region = self.region, .server = end->server.address};
  std::optional<progress> seen;
  if (end->at) {
    report.where = end->at->where();
    report.primary = !end->at->seen.in_recovery && rpc_.node().is_primary();
    seen = std::move(end->at->seen);
  }
  finish(call, std::move(report), seen);
  return {};
}

caf::error level_reader::read_here(const read_call& call, const read_body& body,
                                   const one_query* one) {
  auto wants = wants_of(call);
  if (!wants)
    return std::move(wants.error());
  auto reason = read_local(call, *wants, call.deadline, body, one);
  if (reason != errc::not_primary || !wants->primary)
    return reason;
  core_->roles().refused(); // it was the primary a moment ago
  wants = wants_of(call);
  return wants ? read_local(call, *wants, call.deadline, body, one) : std::move(wants.error());
}

caf::error level_reader::ask(const read_call& call, const rpc::target& whom,
                             const read_wants& wants, const statement& what) {
  read_request asked{.sql = what.sql, .parameters = what.parameters, .primary = wants.primary};
  for (const auto& it : wants.positions)
    asked.positions.push_back(to_string(it));
  auto name = builtin_name(repo::read_statement.name, core_->name());
  auto answer = rpc::detail::ask<read_answer, read_request>(
      rpc_.with({.timeout = left_until(call.deadline)}), whom,
      decltype(repo::read_statement){name.c_str()}, asked);
  if (!answer)
    return std::move(answer.error());
  read_report report{.member = answer->member,
                     .region = answer->region,
                     .server = answer->server,
                     .primary = answer->primary && whom == rpc::target::primary()};
  std::optional<progress> seen;
  if (auto where = parse_position(answer->position)) {
    report.where = *where;
    auto known = core_->tracker()->current();
    seen = progress{.system = where->system,
                    .timeline = where->timeline,
                    .lsn = where->lsn,
                    .in_recovery = !answer->primary,
                    .history = known ? known->history : timeline_history{}};
  }
  what.into = std::move(answer->rows);
  finish(call, std::move(report), seen);
  return {};
}

std::vector<rpc::target> level_reader::candidates(const read_call& call,
                                                  const read_wants& wants) const {
  if (call.options.otherwise == otherwise::primary)
    return {rpc::target::primary()};
  auto known = core_->tracker()->current();
  auto self = rpc_.node().self().id;
  auto near = rpc_.node().views();
  std::erase_if(near, [&](const cluster::member_view& it) {
    auto there = announced(it.database, known ? known->history : timeline_history{});
    return it.who.id == self || !it.linked || it.database.role != cluster::claim::role::replica ||
           !std::all_of(wants.positions.begin(), wants.positions.end(),
                        [&](const auto& where) { return judge(where, there) == verdict::visible; });
  });
  std::sort(near.begin(), near.end(),
            [](const auto& a, const auto& b) { return a.round_trip < b.round_trip; });
  constexpr std::size_t replicas_max = 2;
  std::vector<rpc::target> result;
  for (const auto& it : near)
    if (result.size() < replicas_max)
      result.push_back(rpc::target::member(it.who.id));
  result.push_back(rpc::target::primary());
  return result;
}

caf::error level_reader::elsewhere(const read_call& call, const read_wants& wants,
                                   const statement& what) {
  caf::error last;
  for (const auto& whom : candidates(call, wants)) {
    last = ask(call, whom, wants, what);
    bool answered = !last || last == errc::sql_failed; // nobody else would say anything else
    if (answered || clock::now() >= call.deadline)
      break;
  }
  return last;
}

caf::error level_reader::read_statement(const read_call& call, const std::string& sql,
                                        const std::vector<parameter>& parameters, bool repeats,
                                        result& into) {
  statement what{sql, parameters, into};
  auto body = [&](pqxx::transaction_base& tx) -> caf::error {
    into = run_statement(tx, sql, parameters);
    return {};
  };
  one_query one{sql, parameters, repeats, [&into](const pg_result& rows) -> caf::error {
                  into = to_result(rows);
                  return {};
                }};
  if (call.options.otherwise == otherwise::wait || core_->in_sandbox())
    return read_here(call, body, &one);
  if (call.wanted == level::strong && !primary_here()) {
    // As far away as the question how far it is, and what comes back is the answer itself.
    auto wants = wants_of({call.options, level::eventual, call.begun, call.deadline});
    wants->primary = true;
    if (call.options.session)
      if (auto seen = call.options.session->position())
        wants->positions.push_back(*seen);
    return ask(call, rpc::target::primary(), *wants, what);
  }
  auto wants = wants_of(call);
  if (!wants)
    return std::move(wants.error());
  bool down = core_->roles().report().role == database_role::unreachable;
  caf::error reason = make_error(errc::database_unavailable, core_->roles().report().reason);
  if (!down)
    reason = read_local(call, *wants, std::min(call.deadline, call.begun + call.options.patience),
                        body, &one);
  bool late = reason == errc::not_visible;
  bool never = reason == errc::not_primary || reason == errc::foreign_position; // left behind
  if (!late && !never && reason != errc::database_unavailable)
    return reason;
  auto there = elsewhere(call, *wants, what);
  if (!there || there == errc::sql_failed)
    return there;
  if (late)
    reason = read_local(call, *wants, call.deadline, body, &one);
  if (!reason)
    return reason;
  return make_error(code_of(reason), text_of(reason) + "; elsewhere: " + fly::to_string(there),
                    details_of(reason));
}

} // namespace fly::repo
