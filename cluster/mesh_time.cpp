// The second part of mesh.hpp: time, what this node says of itself, and what others read of it.
#include <utility>

#include "fly/actors/error.hpp"
#include "fly/cluster/beat.hpp"
#include "fly/cluster/mesh.hpp"
#include "fly/cluster/wire.hpp"

namespace fly::cluster {

void mesh::set_time(time_point now, wall_time wall) {
  now_ = now;
  wall_ = wall;
}

void mesh::tick(time_point now, wall_time wall) {
  set_time(now, wall);
  if (leaving_)
    return;
  perform(membership_.tick(now, wall));
  take_back_late();
  for (const auto& [link, what] : connections_)
    if (what->services_due && what->up)
      send_services(*what);
  if (stale_board_)
    publish(false);
  if (options_.tls && wall_ >= certificate_due_)
    warn_of_certificate();
}

void mesh::on_addresses(std::vector<std::string> addresses) {
  membership_.on_addresses(std::move(addresses));
  if (!leaving_)
    perform(membership_.tick(now_, wall_)); // dial at once
}

void mesh::perform(membership_actions todo) {
  for (const auto& note : todo.notes)
    options_.log(log_level::info, note);
  // First what is lost, then what is seen: a listener that hears of a change finds it complete.
  for (const auto& [link, reason] : todo.closes)
    drop(link, reason);
  if (todo.changed)
    publish(true);
  for (auto link : todo.beats)
    send_beat(link);
  for (auto& [link, address] : todo.dials) {
    auto fresh = add(link, handshake::side::dialler, address);
    if (auto failed = out_.dial(link, address)) {
      connections_.erase(link);
      membership_.on_closed(link, failed, now_);
      options_.log(log_level::debug, "cannot dial " + address + ": " + text_of(failed));
      continue;
    }
    greet(link, *fresh);
  }
}

void mesh::send_beat(link_id link) {
  auto what = find(link);
  // A peer that sends and never reads must not gather heartbeats for ever.
  if (what && what->up && what->up->unsent_bytes() <= options_.limits.unsent_bytes_max)
    what->up->send_always(frame_kind::beat, bytes_of(encode(membership_.make_beat(link, now_))));
}

void mesh::send_beats() {
  for (const auto& [link, what] : connections_)
    send_beat(link);
}

void mesh::set_claim(claim database) {
  bool changed = membership_.set_own_claim(std::move(database));
  if (changed)
    send_beats();
  publish(changed);
}

void mesh::set_services(std::string services) {
  if (!membership_.set_own_services(services))
    return;
  for (const auto& [link, what] : connections_)
    if (what->up)
      send_services(*what);
  publish(true);
}

/// As with heartbeats; where the peer is late the newest is sent once it has read.
void mesh::send_services(connection& to) {
  to.services_due = to.up->unsent_bytes() > options_.limits.unsent_bytes_max;
  if (to.services_due)
    return;
  const auto& services = membership_.members().find(identity_->self.id)->services;
  if (auto refused = to.up->send_always(frame_kind::services, bytes_of(services)))
    options_.log(log_level::error, "services not announced: " + text_of(refused));
}

void mesh::set_load(std::uint32_t load) {
  membership_.set_own_load(load);
  stale_board_ = true;
}

/// Pins what is known now, and tells the listeners where more than positions has changed.
void mesh::publish(bool changed) {
  snapshot next;
  next.views = membership_.members().views();
  stale_board_ = false;
  if (leaving_)
    std::erase_if(next.views, [](const auto& view) { return view.state != presence::self; });
  auto before = primary_.state();
  changed |= primary_.update(next.views);
  next.primary = primary_.state();
  for (const auto& [level, text] : changes(before, next.primary))
    options_.log(level, text);
  for (const auto& [link, what] : connections_)
    if (what->up && membership_.link_to(what->up->peer().id) == link)
      next.channels.emplace(what->up->peer().id, what->up);
  bool other_leader = next.primary.leader != before.leader ||
                      (!before.leader.empty() && next.primary.lease != before.lease);
  board_.pin(std::move(next));
  if (other_leader)
    listeners_.each([](listener& who) { who.on_leader(); });
  if (changed)
    listeners_.each([](listener& who) { who.on_change(); });
}

void mesh::leave() {
  if (std::exchange(leaving_, true))
    return;
  auto reason = make_error(errc::shutting_down, identity_->self.id + " is leaving");
  while (!connections_.empty()) {
    auto [link, what] = *connections_.begin();
    if (what->up) {
      if (what->up->finish(frame_kind::goodbye))
        out_.drain(link, what->up);
    }
    membership_.on_closed(link, reason, now_);
    drop(link, what->up ? reason : caf::error{});
  }
  publish(true);
}

void mesh::log_handshake(const connection& what, const caf::error& reason) {
  auto host = what.remote.substr(0, what.remote.rfind(':')); // strangers change their port
  warn("no link with " + host + ": " + text_of(reason));
}

/// Says what may come again and again.
void mesh::warn(const std::string& text) {
  options_.log(warned_.take(text, now_) ? log_level::warning : log_level::debug, text);
}

} // namespace fly::cluster
