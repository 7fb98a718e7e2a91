#include "fly/repo/database_core.hpp"

#include <algorithm>
#include <utility>

#include "fly/actors/error.hpp"
#include "fly/actors/mutant.hpp"
#include "fly/cluster/node.hpp"
#include "fly/repo/database_url.hpp"
#include "fly/repo/ledger.hpp"
#include "fly/repo/one_statement.hpp"
#include "fly/repo/server_identity.hpp"
#include "fly/repo/statement.hpp"
#include "fly/repo/transaction.hpp"
#include "fly/repo/write_reply.hpp"
#include "fly/rpc/codec.hpp"

namespace fly::repo {

using clock = std::chrono::steady_clock;

namespace {

caf::expected<std::string> local_url(const cluster::node& node, const options& settings) {
  if (auto reason = settings.validate())
    return reason;
  return database_url_for(settings.database_url, node.my_region(), node.settings().primary_region);
}

/// What pg_stat_activity shows of this node: of which cluster, and which machine.
std::string application_name(const cluster::node& node, const options& settings) {
  auto app = settings.application_name;
  if (app.empty())
    app = node.settings().app.empty() ? "fly" : node.settings().app;
  return app + " " + node.self().id;
}

link_options link_of(const cluster::node& node, const options& settings,
                     const caf::expected<std::string>& url) {
  return {.url = url ? *url : std::string{},
          .application_name = application_name(node, settings),
          .pooled = settings.pooler == options::pooler_mode::transaction,
          .read_only = settings.read_only};
}

link_options named(link_options link, const char* part) {
  link.application_name += part;
  return link;
}

/// How long nothing more is tried after a commit was refused because commits are held.
constexpr std::chrono::milliseconds held_pause{200};

/// Room in a frame for what stands around a result.
constexpr std::size_t frame_head_bytes_max = 4096;

} // namespace

cluster::claim to_claim(const role_report& report) {
  cluster::claim result;
  switch (report.role) {
  case database_role::unknown:
    result.role = cluster::claim::role::unknown;
    break;
  case database_role::unreachable:
    result.role = cluster::claim::role::unreachable;
    break;
  case database_role::replica:
    result.role = cluster::claim::role::replica;
    break;
  case database_role::primary:
    result.role = cluster::claim::role::primary;
    break;
  }
  result.system = report.server.system;
  result.timeline = report.server.timeline;
  result.lsn = report.server.lsn.bytes();
  result.lag = report.server.lag;
  result.server = static_cast<std::uint64_t>(report.server.started_us);
  result.reason = report.reason;
  return result;
}

database_core::database_core(cluster::node& node, const options& settings,
                             const caf::error& refused)
    : database_core(node, settings,
                    refused ? caf::expected<std::string>{refused} : local_url(node, settings)) {}

database_core::database_core(cluster::node& node, const options& settings,
                             caf::expected<std::string> url)
    : node_(node), name_(settings.name), unusable_(url ? caf::error{} : url.error()),
      link_(link_of(node, settings, url)),
      names_writes_(link_.url.find("application_name=") == std::string::npos),
      connect_timeout_(settings.connect_timeout), manage_schema_(settings.manage_schema),
      sweeper_(settings.key_lifetime), commits_(named(link_, " move"), settings.connect_timeout),
      roles_(std::make_shared<role_board>(settings.fresh_interval,
                                          [this](const role_report& report) { announce(report); })),
      leading_(std::make_shared<leadership>(
          node,
          leadership_options{.link = named(link_, " lease"),
                             .connect_timeout = settings.connect_timeout,
                             .lasts = settings.lease},
          [roles = roles_] { roles->tell_again(); })),
      tracker_(std::make_shared<lsn_tracker>(
          tracker_options{.watcher = {.link = named(link_, " tracker"),
                                      .connect_timeout = settings.connect_timeout},
                          .waiters_max = settings.waiters_max,
                          .role_interval = settings.role_interval},
          roles_)),
      alarm_(tracker_),
      pool_({.link = link_,
             .connections_max = std::max<std::size_t>(settings.connections_max, 1),
             .connect_timeout = settings.connect_timeout}),
      sandbox_(settings.sandbox),
      runner_(pool(), roles_, node.settings().frame_bytes_max - frame_head_bytes_max,
              [tracker = tracker_](const server_identity& where) {
                auto known = tracker->server();
                return !known || same_server(*known, where);
              }) {
  if (unusable_) {
    roles_->failed(text_of(unusable_));
    tracker_->close();
    return;
  }
  announce(roles_->report());
  if (name_.empty())
    node_.listen(leading_);
}

/// The node has one claim: that of the database without a name.
void database_core::announce(const role_report& report) {
  if (name_.empty())
    node_.announce(claim_of(report));
}

cluster::claim database_core::claim_of(const role_report& report) const {
  auto result = to_claim(report);
  {
    std::lock_guard guard{mutex_};
    if (result.reason.empty())
      result.reason = without_;
  }
  if (report.role == database_role::primary)
    leading_->fill(result);
  return result;
}

/// Why no write may run here although the database takes it; empty where it may.
caf::error database_core::left_behind(const cluster::primary_state& now) const {
  auto self = node_.self().id;
  if (std::find(now.zombies.begin(), now.zombies.end(), self) == now.zombies.end())
    return {};
  return make_error(errc::not_primary, "the database of " + self + " is an old primary: timeline " +
                                           std::to_string(roles_->report().server.timeline) +
                                           " was left, " + now.region + " has timeline " +
                                           std::to_string(now.timeline));
}

/// Whoever a connection has reached, where several servers stand behind a name or a pooler, one
/// after the other: no write is taken by any but the one that is known to be primary.
caf::expected<expected_server> database_core::wanted_of(const server_identity& reached) const {
  auto now = node_.primary();
  if (auto refused = left_behind(now))
    return refused;
  if (now.system == reached.system && !mutant("zombie_routed_to"))
    return expected_server{now.timeline, static_cast<std::int64_t>(now.server)};
  if (name_.empty() && now.system != 0 && now.system != reached.system)
    return make_error(errc::not_primary, "the server that was reached is of another database "
                                         "system than the primary");
  return expected_server{};
}

caf::expected<rpc::bytes> database_core::run_write(const rpc::call_context& context,
                                                   const std::string& name,
                                                   const transaction_runner::write_body& body,
                                                   bool on_leader, const keyed_write* once) {
  auto pass = gate_.enter();
  if (!pass)
    return held_error();
  if (auto refused = left_behind(node_.primary()))
    return refused;
  cluster::epoch turn; // before BEGIN: whoever leads later has another one
  if (on_leader) {
    auto held = leading_->turn();
    if (!held)
      return std::move(held.error());
    turn = *held;
  }
  auto outcome = runner_.run_write(
      context.deadline,
      [&](transaction& tx) -> caf::expected<rpc::bytes> {
        auto value = body(tx);
        auto wanted = wanted_of(tx.server()); // heard while the function ran: it is rolled back
        if (!wanted)
          return std::move(wanted.error());
        tx.expect(*wanted);
        if (on_leader && !mutant("no_epoch_check"))
          tx.before_commit(fence_of(turn));
        return value;
      },
      context.parts, once, shown(name));
  if (!outcome && on_leader && outcome.error() == errc::not_leader)
    leading_->deposed(turn);
  return told(context, std::move(outcome));
}

std::optional<caf::expected<rpc::bytes>> database_core::run_one(const rpc::call_context& context,
                                                                const std::string& name,
                                                                const one_statement& what,
                                                                const keyed_write* once) {
  auto pass = gate_.enter();
  if (!pass)
    return held_error();
  if (auto refused = left_behind(node_.primary()))
    return refused;
  auto outcome = runner_.run_one(
      context.deadline, what, [this](const server_identity& reached) { return wanted_of(reached); },
      context.parts, once, shown(name));
  if (!outcome)
    return std::nullopt;
  return told(context, std::move(*outcome));
}

/// What pg_stat_activity shows while the write `name` runs; empty for what it shows anyway.
std::string database_core::shown(const std::string& name) const {
  return names_writes_ ? link_.application_name + " " + name : std::string{};
}

/// Encodes how a write ended, for its caller.
caf::expected<rpc::bytes> database_core::told(const rpc::call_context& context,
                                              caf::expected<write_outcome> outcome) {
  if (!outcome) {
    if (is_held(outcome.error())) // by somebody who does not know of this node
      gate_.hold_at_least(clock::now() + held_pause);
    return std::move(outcome.error());
  }
  auto self = node_.self();
  bool ran_here = context.caller.id == self.id && context.caller.incarnation == self.incarnation;
  return encode_reply({.where = outcome->where,
                       .took = outcome->took,
                       .ran_here = ran_here,
                       .repeated = outcome->repeated},
                      outcome->value);
}

hold_report database_core::hold(std::chrono::milliseconds longest, std::uint32_t timeline) {
  auto begun = clock::now();
  if (longest.count() == 0) {
    commits_.end();
    gate_.hold(begun);
    leading_->rest({});
    return {};
  }
  auto deadline = begun + longest;
  auto patience = gate_.held() ? begun : begun + longest / 2; // for those that run
  gate_.hold(deadline);
  gate_.wait_empty(patience); // what still runs then is not committed
  leading_->rest(deadline);   // a renewal is a write, too
  auto commits = unusable_ ? commit_hold::answer{.reason = text_of(unusable_)}
                           : commits_.ask(timeline, deadline);
  hold_report result{
      .held = commits.held, .waits = commits.waits, .kept = commits.kept, .reason = commits.reason};
  if (commits.held)
    result.position = to_string(commits.where);
  roles_->wake(); // to end it in time
  return result;
}

bool database_core::wait_prepared(clock::time_point deadline) {
  std::unique_lock lock{mutex_};
  return has_prepared_now_.wait_until(lock, deadline, [this] { return has_prepared_; });
}

void database_core::close() {
  leading_->leave();
  node_.unlisten(leading_.get());
  roles_->close();
  tracker_->close();
  alarm_.close();
  commits_.end();
  pool_.close();
}

} // namespace fly::repo
