#include "fly/repo/database_core.hpp"

#include <algorithm>
#include <utility>

#include <caf/actor.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

#include "fly/actors/error.hpp"
#include "fly/cluster/node.hpp"
#include "fly/repo/database_url.hpp"
#include "fly/repo/server_identity.hpp"
#include "fly/repo/write_reply.hpp"

namespace fly::repo {

using clock = std::chrono::steady_clock;

namespace {

caf::expected<std::string> local_url(const cluster::node& node, const options& settings) {
  if (auto reason = settings.validate())
    return reason;
  return database_url_for(settings.database_url, node.my_region(), node.settings().primary_region);
}

link_options link_of(const options& settings, const caf::expected<std::string>& url) {
  return {.url = url ? *url : std::string{},
          .application_name =
              settings.application_name.empty() ? "fly" : settings.application_name};
}

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
  result.reason = report.reason;
  return result;
}

database_core::database_core(cluster::node& node, const options& settings)
    : database_core(node, settings, local_url(node, settings)) {}

database_core::database_core(cluster::node& node, const options& settings,
                             caf::expected<std::string> url)
    : node_(node), unusable_(url ? caf::error{} : url.error()), link_(link_of(settings, url)),
      connect_timeout_(settings.connect_timeout),
      roles_(std::make_shared<role_board>(
          settings.fresh_interval,
          [&node](const role_report& report) { node.announce(to_claim(report)); })),
      tracker_(std::make_shared<lsn_tracker>(
          tracker_options{.watcher = {.link = link_, .connect_timeout = settings.connect_timeout},
                          .waiters_max = settings.waiters_max,
                          .role_interval = settings.role_interval},
          roles_)),
      pool_({.link = link_,
             .connections_max = std::max<std::size_t>(settings.connections_max, 1),
             .connect_timeout = settings.connect_timeout}),
      runner_(pool_, roles_, node.settings().frame_bytes_max - frame_head_bytes_max) {
  if (unusable_) {
    roles_->failed(text_of(unusable_));
    tracker_->close();
  } else {
    node_.announce(to_claim(roles_->report()));
  }
}

caf::expected<rpc::bytes> database_core::run_write(const rpc::call_context& context,
                                                   const transaction_runner::write_body& body) {
  auto outcome = runner_.run_write(context.deadline, body, context.parts);
  if (!outcome)
    return std::move(outcome.error());
  auto self = node_.self();
  bool ran_here = context.caller.id == self.id && context.caller.incarnation == self.incarnation;
  return encode_reply({.where = outcome->where, .took = outcome->took, .ran_here = ran_here},
                      outcome->value);
}

void database_core::keep() {
  if (unusable_)
    return;
  auto now = clock::now();
  if (roles_->fresh_due() > now)
    return;
  auto link = pq_link::open(link_, now + connect_timeout_);
  if (!link)
    return roles_->failed(text_of(link.error()));
  auto server = identify(*link, clock::now() + connect_timeout_);
  if (server)
    roles_->saw_fresh(*server);
  else
    roles_->failed(text_of(server.error()));
}

void database_core::close() {
  roles_->close();
  tracker_->close();
  pool_.close();
}

namespace {

/// Ends overdue sessions, also while the keeper itself waits for a server that does not answer.
caf::behavior cutter(caf::event_based_actor* self, const std::shared_ptr<database_core>& core) {
  constexpr std::chrono::milliseconds look_interval{25};
  self->send(self, caf::tick_atom::value);
  return {
      [self, core, look_interval](caf::tick_atom) {
        core->pool().cut_overdue(clock::now());
        self->delayed_send(self, look_interval, caf::tick_atom::value);
      },
  };
}

caf::behavior keeper(caf::event_based_actor* self, const std::shared_ptr<database_core>& core,
                     std::uint64_t me) {
  constexpr std::chrono::milliseconds look_interval{100};
  auto helper = self->spawn(cutter, core);
  self->attach_functor([core, me, helper] {
    core->seat()->leave(me);
    caf::anon_send_exit(helper, caf::exit_reason::kill);
  });
  self->send(self, caf::tick_atom::value);
  return {
      [self, core, me, look_interval](caf::tick_atom) {
        if (!core->seat()->is(me))
          return self->quit();
        core->keep();
        self->delayed_send(self, look_interval, caf::tick_atom::value);
      },
  };
}

} // namespace

caf::actor start_keeper(caf::event_based_actor* parent,
                        const std::shared_ptr<database_core>& core) {
  return parent->spawn<caf::detached>(keeper, core, core->seat()->take());
}

} // namespace fly::repo
