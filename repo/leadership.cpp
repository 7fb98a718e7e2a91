#include "fly/repo/leadership.hpp"

#include <algorithm>
#include <utility>

#include "fly/actors/error.hpp"
#include "fly/rpc/server.hpp"

namespace fly::repo {

namespace {

/// Whether the server says that there is no lease: no schema, no function, no right to them.
bool is_missing(const caf::error& reason) {
  if (reason != errc::sql_failed)
    return false;
  auto details = details_of(reason);
  const auto& sqlstate = details["sqlstate"];
  return sqlstate == "3F000" || sqlstate == "42883" || sqlstate == "42P01" || sqlstate == "42501";
}

} // namespace

leadership::leadership(cluster::node& node, leadership_options options, std::function<void()> tell)
    : node_(node), options_(std::move(options)), tell_(std::move(tell)), me_(node.self()),
      term_(options_.lasts) {}

caf::expected<cluster::epoch> leadership::turn() const {
  std::string missing;
  {
    std::lock_guard guard{mutex_};
    if (auto held = term_.held(clock::now()))
      return *held;
    missing = missing_;
  }
  auto state = node_.primary();
  bool by_lease = state.lease != cluster::epoch{};
  auto text = me_.id + " does not hold the lease of the leader; ";
  if (!by_lease && !missing.empty())
    return make_error(errc::not_leader, text + missing);
  text += by_lease && !state.leader.empty() ? state.leader + " does" : "nobody leads now";
  return make_error(errc::not_leader, text, {{rpc::not_started_detail, "1"}});
}

void leadership::fill(cluster::claim& claim) const {
  std::lock_guard guard{mutex_};
  auto now = known();
  if (!now.missing.empty()) {
    if (claim.reason.empty())
      claim.reason = now.missing;
    return;
  }
  claim.lease = std::max(now.latest, cluster::epoch{claim.timeline, 0});
  claim.leads = now.leads;
}

leadership::knowledge leadership::known() const {
  return {latest_, term_.held(clock::now()).has_value(), missing_};
}

void leadership::deposed(const cluster::epoch& turn) {
  std::lock_guard guard{mutex_};
  if (term_.held(clock::now()) == turn) {
    term_.drop();
    term_.hurry();
  }
}

/// Whether this node's database is the primary, and nobody contests that.
bool leadership::may_lead() const {
  auto state = node_.primary();
  return state.by_database && state.conflict.empty() &&
         std::any_of(state.group.begin(), state.group.end(),
                     [this](const cluster::member& who) { return same_process(who, me_); });
}

void leadership::look() {
  std::lock_guard driving{driving_};
  if (left_ || clock::now() < rests_until_)
    return;
  if (!may_lead()) {
    std::lock_guard guard{mutex_};
    term_.drop();
    term_.hurry();
    link_.reset();
  } else {
    bool due = false;
    {
      std::lock_guard guard{mutex_};
      if (hurry_.exchange(false) && !term_.held(clock::now()))
        term_.hurry();
      due = term_.due() <= clock::now();
    }
    if (due)
      ask_database();
  }
  tell_news();
}

void leadership::ask_database() {
  auto sent = clock::now();
  auto answer = ask(sent);
  std::lock_guard guard{mutex_};
  auto now = clock::now();
  if (!answer) {
    if (!is_missing(answer.error()))
      return term_.failed(now);
    missing_ = "without the lease of the leader (docs/rights.md): " + text_of(answer.error());
    return term_.missing(now);
  }
  missing_.clear();
  latest_ = answer->turn;
  if (answer->held)
    term_.granted(answer->turn, sent);
  else
    term_.refused(answer->left, now);
}

caf::expected<lease_answer> leadership::ask(clock::time_point& sent) {
  if (!link_) {
    auto opened = pq_link::open(options_.link, open_by(clock::now()));
    if (!opened)
      return std::move(opened.error());
    link_ = std::move(*opened);
  }
  sent = clock::now();
  auto answer = take_lease(*link_, me_, options_.lasts, answer_by(sent));
  if (!answer && answer.error() != errc::sql_failed)
    link_.reset();
  return answer;
}

/// What is held must not end unnoticed while a connection is opened.
leadership::clock::time_point leadership::open_by(clock::time_point now) const {
  std::lock_guard guard{mutex_};
  return term_.held(now) ? term_.answer_by(now) : now + options_.connect_timeout;
}

leadership::clock::time_point leadership::answer_by(clock::time_point sent) const {
  std::lock_guard guard{mutex_};
  return term_.answer_by(sent);
}

void leadership::tell_news() {
  knowledge now;
  {
    std::lock_guard guard{mutex_};
    now = known();
  }
  if (now == told_)
    return;
  told_ = std::move(now);
  tell_();
}

void leadership::leave() {
  std::lock_guard driving{driving_};
  if (!std::exchange(left_, true))
    step_down();
}

void leadership::rest(clock::time_point until) {
  std::lock_guard driving{driving_};
  rests_until_ = until;
  if (!left_ && until > clock::now())
    step_down();
  hurry_ = true; // afterwards
}

/// Ends the lease where it is held, so that another takes it at once.
void leadership::step_down() {
  bool leads = false;
  {
    std::lock_guard guard{mutex_};
    leads = term_.held(clock::now()).has_value();
    term_.drop();
  }
  if (leads && link_) // one that cannot be reached runs out by itself
    end_lease(*link_, me_, clock::now() + std::chrono::seconds{1});
  link_.reset();
  tell_news();
}

} // namespace fly::repo
