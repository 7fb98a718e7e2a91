// The second half of membership.hpp: signs of life, and what the passing of time brings.
#include "fly/cluster/membership.hpp"

#include <set>

#include "fly/actors/error.hpp"

namespace fly::cluster {

namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;

std::string text_in_ms(std::chrono::milliseconds time) {
  return std::to_string(time.count()) + " ms";
}

} // namespace

// -- signs of life --------------------------------------------------------------------------------

bool membership::on_heard(link_id id, time_point now) {
  auto own_now = clock_.advance(now);
  auto found = links_.find(id);
  if (found == links_.end() || !found->second.up)
    return false;
  lives_.find(found->second.peer_id)->second.heard = own_now;
  auto& view = *members_.find(found->second.peer_id);
  return std::exchange(view.state, presence::alive) != presence::alive;
}

beat membership::make_beat(link_id id, time_point now) {
  auto own_now = clock_.advance(now);
  auto us = [](auto time) {
    return static_cast<std::uint64_t>(duration_cast<microseconds>(time).count());
  };
  const auto& view = own();
  beat result{.sent_us = 1 + us(own_now - started_), .load = view.load, .database = view.database};
  if (auto found = links_.find(id); found != links_.end() && found->second.peer_stamp_us != 0) {
    result.echo_us = found->second.peer_stamp_us;
    result.held_us = us(own_now - found->second.peer_stamp_at);
  }
  return result;
}

bool membership::on_beat(link_id id, const beat& received, time_point now) {
  auto own_now = clock_.advance(now);
  auto found = links_.find(id);
  if (found == links_.end() || !found->second.up)
    return false;
  auto& from = found->second;
  from.peer_stamp_us = received.sent_us;
  from.peer_stamp_at = own_now;
  auto& view = *members_.find(from.peer_id);
  view.load = received.load;
  auto now_us =
      1 + static_cast<std::uint64_t>(duration_cast<microseconds>(own_now - started_).count());
  // Numbers of a peer: only a difference that can be is a round trip.
  if (received.echo_us != 0 && received.echo_us <= now_us &&
      received.held_us <= now_us - received.echo_us)
    view.round_trip =
        microseconds{static_cast<std::int64_t>(now_us - received.echo_us - received.held_us)};
  bool changed = differs_in_kind(view.database, received.database);
  view.database = received.database;
  return changed;
}

bool membership::on_services(link_id id, std::string services) {
  auto found = links_.find(id);
  if (found == links_.end() || !found->second.up)
    return false;
  auto& view = *members_.find(found->second.peer_id);
  if (view.services == services)
    return false;
  view.services = std::move(services);
  return true;
}

bool membership::set_own_claim(claim database) {
  bool changed = differs_in_kind(own().database, database);
  own().database = std::move(database);
  return changed;
}

bool membership::set_own_services(std::string services) {
  return std::exchange(own().services, services) != services;
}

void membership::set_own_load(std::uint32_t load) {
  own().load = load;
}

// -- time -----------------------------------------------------------------------------------------

membership_actions membership::tick(time_point now, wall_time) {
  auto own_now = clock_.advance(now);
  membership_actions todo;
  close_late_handshakes(own_now, todo);
  judge_silence(own_now, todo);
  for (auto& [id, link] : links_) {
    if (!link.up || link.next_beat > own_now)
      continue;
    link.next_beat = own_now + options_.heartbeat;
    todo.beats.push_back(id);
  }
  dial_due(own_now, todo);
  return todo;
}

void membership::close_late_handshakes(time_point now, membership_actions& todo) {
  for (auto entry = links_.begin(); entry != links_.end();) {
    auto& [id, link] = *entry;
    if (link.up || now - link.since < options_.handshake_timeout) {
      ++entry;
      continue;
    }
    todo.closes.push_back(
        {id, make_error(errc::handshake_failed,
                        "no handshake within " + text_in_ms(options_.handshake_timeout))});
    forget_dialled(link, now);
    entry = links_.erase(entry);
  }
}

void membership::judge_silence(time_point now, membership_actions& todo) {
  std::vector<std::string> gone;
  for (const auto& [id, life] : lives_) {
    auto silence = now - life.heard;
    if (silence >= options_.silence_max) {
      gone.push_back(id);
      continue;
    }
    auto& view = *members_.find(id);
    auto state =
        life.link == 0 || silence >= options_.silence_max / 2 ? presence::suspect : presence::alive;
    todo.changed |= std::exchange(view.state, state) != state;
  }
  for (const auto& id : gone)
    bury(id,
         make_error(errc::member_lost,
                    "no sign of life from " + id + " for " + text_in_ms(options_.silence_max)),
         now, todo);
}

void membership::dial_due(time_point now, membership_actions& todo) {
  std::set<std::string> wanted{addresses_.begin(), addresses_.end()};
  std::set<std::string> linked;
  for (const auto& [id, life] : lives_) {
    const auto& address = members_.find(id)->who.address;
    if (life.link != 0)
      linked.insert(address);
    else if (!address.empty())
      wanted.insert(address); // lost, and perhaps no longer in DNS
  }
  wanted.erase(options_.self.address);
  dials_.want({wanted.begin(), wanted.end()});
  auto is_served = [&](const std::string& address, const std::string& reached_id) {
    return linked.count(address) != 0 || link_to(reached_id) != 0;
  };
  for (auto& address : dials_.due(now, is_served)) {
    link fresh;
    fresh.address = address;
    fresh.since = now;
    links_.emplace(++last_link_, std::move(fresh));
    todo.dials.push_back({last_link_, std::move(address)});
  }
}

} // namespace fly::cluster
