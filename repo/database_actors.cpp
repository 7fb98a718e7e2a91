// The part of database_core.hpp that drives it: what is done again and again, and the actors.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>

#include <caf/actor.hpp>
#include <caf/actor_addr.hpp>
#include <caf/actor_cast.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

#include "fly/actors/error.hpp"
#include "fly/repo/database_core.hpp"
#include "fly/repo/schema.hpp"
#include "fly/repo/server_identity.hpp"

namespace fly::repo {

using clock = std::chrono::steady_clock;

namespace {

/// Whether the server has refused a connection because it has as many as it may have.
bool is_full(const caf::error& reason) {
  auto details = details_of(reason);
  auto found = details.find("sqlstate");
  return found != details.end() && found->second == "53300";
}

/// Keeps the lease, whatever the keeper itself waits for.
caf::behavior leader(caf::event_based_actor* self, const std::shared_ptr<database_core>& core,
                     std::uint64_t me) {
  constexpr std::chrono::milliseconds look_interval{100};
  constexpr std::chrono::milliseconds idle_interval{500}; // there is nothing to lead
  self->send(self, caf::tick_atom::value);
  return {
      [self, core, me, look_interval, idle_interval](caf::tick_atom) {
        if (!core->seat()->is(me))
          return self->quit();
        if (core->name().empty())
          core->leading().look();
        bool may_lead = core->roles().report().role == database_role::primary;
        self->delayed_send(self, may_lead ? look_interval : idle_interval, caf::tick_atom::value);
      },
  };
}

/// Looks at the database when that is due, five times a second at most.
struct keeping {
  static constexpr std::chrono::milliseconds least_interval{200};
  static constexpr std::chrono::milliseconds longest_interval{1000};

  caf::event_based_actor* self;
  std::shared_ptr<database_core> core;
  std::uint64_t me;
  clock::time_point looked{};
  std::uint64_t last = 0; // number of the message for the next look; the ones before are outdated

  void look() {
    if (!core->seat()->is(me))
      return self->quit();
    listen(); // each time: one that has lost the seat may have done so last
    core->keep();
    looked = clock::now();
    plan();
  }

  /// Has the board wake this one.
  void listen() {
    // Not a handle that keeps it alive: it owns what owns the board.
    core->roles().wake_by([who = caf::actor_cast<caf::actor_addr>(self)] {
      if (auto it = caf::actor_cast<caf::actor>(who))
        caf::anon_send(it, caf::wait_for_atom::value);
    });
  }

  void plan() {
    auto due = std::clamp(core->keep_due(), looked + least_interval, looked + longest_interval);
    self->delayed_send(self, std::max(due - clock::now(), clock::duration{0}),
                       caf::tick_atom::value, ++last);
  }
};

caf::behavior keeper(caf::event_based_actor* self, const std::shared_ptr<database_core>& core,
                     std::uint64_t me) {
  auto leads = self->spawn<caf::detached>(leader, core, me);
  self->attach_functor([core, me, leads] {
    core->seat()->leave(me);
    caf::anon_send_exit(leads, caf::exit_reason::kill);
  });
  auto state = std::make_shared<keeping>(keeping{self, core, me});
  self->send(self, caf::tick_atom::value, state->last);
  return {
      [state](caf::tick_atom, std::uint64_t number) {
        if (number == state->last)
          state->look();
      },
      [state](caf::wait_for_atom) { state->plan(); },
  };
}

} // namespace

clock::time_point database_core::keep_due() {
  return gate_.held() ? clock::time_point{} : roles_->fresh_due();
}

void database_core::keep() {
  if (unusable_)
    return;
  auto now = clock::now();
  commits_.expire(now);
  if (roles_->fresh_due() > now)
    return;
  auto link = pq_link::open(link_, now + connect_timeout_);
  if (!link && is_full(link.error())) // a storm of connections is no reason to have no primary
    return roles_->had_no_room(text_of(link.error()));
  if (!link)
    return roles_->failed(text_of(link.error()));
  auto server = identify(*link, clock::now() + connect_timeout_, link_.pooled);
  if (!server)
    return roles_->failed(text_of(server.error()));
  if (server->in_recovery)
    in_recovery_ = *server;
  else if (server->writable())
    prepare(*link, *server); // before it is claimed: its replicas learn of a new timeline first
  roles_->saw_fresh(*server);
  if (server->writable() && !gate_.held())
    sweeper_.sweep(*link, connect_timeout_);
}

/// Sees to fly's own tables, once for each server and timeline.
void database_core::prepare(pq_link& link, const server_identity& server) {
  if (prepared_ && same_server(*prepared_, server) && prepared_->timeline == server.timeline)
    return;
  auto deadline = clock::now() + connect_timeout_;
  auto reason = manage_schema_ ? ensure_schema(link, deadline) : caf::error{};
  if (!reason || reason == errc::sql_failed) { // those of an older version, or of another's making
    auto version = read_schema_version(link, deadline);
    if (!version)
      reason = version.error();
    else if (*version == 0 && !reason)
      reason = make_error(errc::sql_failed, "they are not there");
    else if (*version >= schema_version)
      reason = {};
    if (version && *version > 0)
      if (auto failed = note_timeline(link, link_, server, in_recovery_, deadline))
        reason = failed;
  }
  if (!reason || reason == errc::sql_failed)
    prepared_ = server; // a right that is missing is asked for once
  {
    std::lock_guard guard{mutex_};
    without_ = reason ? "without fly's own tables (docs/rights.md): " + text_of(reason) : "";
    has_prepared_ = true;
  }
  has_prepared_now_.notify_all();
}

caf::actor start_keeper(caf::event_based_actor* parent,
                        const std::shared_ptr<database_core>& core) {
  return parent->spawn<caf::detached>(keeper, core, core->seat()->take());
}

} // namespace fly::repo
