#include "fly/cluster/membership.hpp"

#include <algorithm>
#include <cassert>

#include "fly/actors/error.hpp"

namespace fly::cluster {

namespace {

std::string name_of(const member& who) {
  return (who.observer ? "observer " : "member ") + who.id + " of " + who.region;
}

} // namespace

membership::membership(membership_options options, time_point now, wall_time since)
    : options_(std::move(options)),
      clock_(now, options_.heartbeat / 4, std::max(options_.heartbeat, options_.silence_max / 4)),
      started_(now), dials_(options_.dial, options_.seed) {
  members_.put(options_.self, since);
  own().state = presence::self;
}

link_id membership::link_to(std::string_view id) const {
  auto found = lives_.find(id);
  return found == lives_.end() ? 0 : found->second.link;
}

// -- connections ----------------------------------------------------------------------------------

std::pair<link_id, membership_actions> membership::on_accepted(time_point now) {
  auto own_now = clock_.advance(now);
  membership_actions todo;
  // The oldest stranger goes, not the newest: an honest one needs milliseconds, an idle one stays.
  auto is_stranger = [](const auto& entry) { return entry.second.accepted && !entry.second.up; };
  auto strangers =
      static_cast<std::size_t>(std::count_if(links_.begin(), links_.end(), is_stranger));
  if (strangers >= options_.strangers_max) {
    auto oldest = std::find_if(links_.begin(), links_.end(), is_stranger); // ids grow with time
    todo.closes.push_back(
        {oldest->first, make_error(errc::overloaded, std::to_string(strangers) +
                                                         " connections are not through the "
                                                         "handshake, the limit")});
    links_.erase(oldest);
  }
  link fresh;
  fresh.accepted = true;
  fresh.since = own_now;
  links_.emplace(++last_link_, std::move(fresh));
  return {last_link_, std::move(todo)};
}

membership::answer membership::on_peer_known(link_id id, const member& peer, time_point now) {
  auto own_now = clock_.advance(now);
  auto found = links_.find(id);
  if (found == links_.end())
    return answer::close;
  auto& dialled = found->second;
  auto verdict = members_.test(peer);
  bool linked = link_to(peer.id) != 0;
  if (verdict == directory::change::refused || (verdict == directory::change::known && linked)) {
    if (linked)
      dials_.reached(dialled.address, peer.id);
    else
      dials_.failed(dialled.address, own_now);
    links_.erase(found);
    return answer::close;
  }
  dialled.asked = true;
  dialled.peer_id = peer.id;
  dialled.incarnation = peer.incarnation;
  return answer::go_on;
}

std::optional<refusal> membership::on_proved(link_id id, const member& peer, time_point now,
                                             wall_time wall, membership_actions& todo) {
  auto own_now = clock_.advance(now);
  if (links_.count(id) == 0)
    return refusal::duplicate;
  auto refuse = [&](refusal why) {
    links_.erase(id);
    return why;
  };
  if (members_.test(peer) == directory::change::refused)
    return refuse(peer.observer ? refusal::same_id : refusal::stale);
  // Both dial at once: the connection dialled by the lower id stays, if it is on its way.
  auto stays = [&](const auto& entry) {
    const auto& other = entry.second;
    return !other.accepted && !other.up && other.asked && other.peer_id == peer.id &&
           other.incarnation == peer.incarnation;
  };
  if (options_.self.id < peer.id && std::any_of(links_.begin(), links_.end(), stays))
    return refuse(refusal::duplicate);
  // The peer would not have proved anything if it had an established link. So ours is one that it
  // has lost, or one whose welcome it had not seen yet when it sent this proof.
  if (auto established = links_.find(link_to(peer.id)); established != links_.end()) {
    const auto& other = established->second;
    if (other.incarnation == peer.incarnation && own_now - other.since < options_.handshake_timeout)
      return refuse(refusal::duplicate);
  }
  establish(id, peer, own_now, wall, todo);
  return std::nullopt;
}

membership_actions membership::on_established(link_id id, const member& peer, time_point now,
                                              wall_time wall) {
  auto own_now = clock_.advance(now);
  membership_actions todo;
  if (links_.count(id) == 0)
    return todo;
  if (members_.test(peer) == directory::change::refused) { // it has started anew meanwhile
    todo.closes.push_back(
        {id, make_error(errc::handshake_failed, std::string{to_string(refusal::stale)})});
    links_.erase(id);
    return todo;
  }
  establish(id, peer, own_now, wall, todo);
  return todo;
}

void membership::establish(link_id id, const member& peer, time_point now, wall_time wall,
                           membership_actions& todo) {
  auto& fresh = links_.at(id);
  auto verdict = members_.put(peer, wall);
  assert(verdict != directory::change::refused);
  auto& entry = lives_[peer.id];
  if (entry.link != 0) {
    todo.closes.push_back(
        {entry.link, make_error(errc::member_lost, verdict == directory::change::replaced
                                                       ? peer.id + " has started anew"
                                                       : peer.id + " has connected anew")});
    links_.erase(entry.link);
  }
  entry.link = id;
  entry.heard = now;
  fresh.up = true;
  fresh.peer_id = peer.id;
  fresh.incarnation = peer.incarnation;
  fresh.since = now;
  fresh.next_beat = now;
  if (!fresh.accepted)
    dials_.reached(fresh.address, peer.id);
  auto& view = *members_.find(peer.id);
  view.linked = true;
  view.state = presence::alive;
  todo.changed = true;
  todo.notes.push_back(name_of(peer) + (verdict == directory::change::known ? " is back"
                                        : verdict == directory::change::replaced
                                            ? " has started anew"
                                            : " has joined"));
}

void membership::on_own(link_id id) {
  auto found = links_.find(id);
  if (found == links_.end())
    return;
  dials_.own(found->second.address);
  links_.erase(found);
}

void membership::forget_dialled(const link& lost, time_point now) {
  if (!lost.accepted && !lost.up)
    dials_.failed(lost.address, now);
}

membership_actions membership::on_closed(link_id id, const caf::error& reason, time_point now) {
  auto own_now = clock_.advance(now);
  membership_actions todo;
  auto found = links_.find(id);
  if (found == links_.end())
    return todo;
  auto lost = std::move(found->second);
  links_.erase(found);
  forget_dialled(lost, own_now);
  if (!lost.up)
    return todo;
  dials_.lost(lost.peer_id, own_now - lost.since, own_now);
  auto& view = *members_.find(lost.peer_id);
  lives_.find(lost.peer_id)->second.link = 0;
  if (view.who.observer) {
    bury(lost.peer_id, reason, own_now, todo);
    return todo;
  }
  view.linked = false;
  view.state = presence::suspect;
  todo.changed = true;
  todo.notes.push_back("lost the link to " + name_of(view.who) + ": " + text_of(reason));
  return todo;
}

/// Takes the member out for good.
void membership::bury(const std::string& id, caf::error reason, time_point now,
                      membership_actions& todo) {
  auto found = lives_.find(id);
  assert(found != lives_.end());
  todo.notes.push_back(name_of(members_.find(id)->who) + " is gone: " + text_of(reason));
  auto link = found->second.link;
  auto lost = links_.find(link);
  dials_.lost(id, lost == links_.end() ? time_point::duration{} : now - lost->second.since, now);
  lives_.erase(found);
  members_.erase(id);
  if (link != 0) {
    links_.erase(link);
    todo.closes.push_back({link, std::move(reason)});
  }
  todo.changed = true;
}

membership_actions membership::on_goodbye(link_id id, time_point now) {
  auto own_now = clock_.advance(now);
  membership_actions todo;
  auto found = links_.find(id);
  if (found == links_.end() || !found->second.up)
    return todo;
  auto peer = found->second.peer_id; // a copy: bury erases the link
  bury(peer, make_error(errc::member_lost, peer + " has left"), own_now, todo);
  return todo;
}

} // namespace fly::cluster
