#include "fly/cluster/mesh.hpp"

#include <algorithm>
#include <utility>

#include "fly/actors/error.hpp"
#include "fly/cluster/beat.hpp"
#include "fly/cluster/wire.hpp"

namespace fly::cluster {

namespace {

/// Of what one read asked for: with 16 or 64 the first part came later, or was sent too often.
constexpr std::size_t piece_frames = 32;

membership_options with_self(membership_options options, const member& self) {
  options.self = self;
  return options;
}

} // namespace

mesh::mesh(mesh_options options, transport& out, board& pinned, listeners& heard_by,
           std::shared_ptr<doorbell> bell, time_point now, wall_time wall)
    : options_(std::move(options)), identity_(std::make_shared<const identity>(options_.who)),
      out_(out), board_(pinned), listeners_(heard_by), bell_(std::move(bell)),
      membership_(with_self(options_.membership, identity_->self), now, wall),
      primary_(options_.primary_label), now_(now), wall_(wall) {
  publish(true);
}

mesh::connection_ptr mesh::add(link_id link, handshake::side side, std::string remote) {
  auto fresh =
      std::make_shared<connection>(connection{.talk = handshake{side, identity_, random_nonce()},
                                              .parser = frame_parser{handshake_bytes_max},
                                              .remote = std::move(remote),
                                              .accepted = side == handshake::side::acceptor,
                                              .up = nullptr});
  if (options_.tls)
    fresh->tls = std::make_shared<tls_filter>(options_.tls, side == handshake::side::dialler
                                                                ? tls_filter::side::dialler
                                                                : tls_filter::side::acceptor);
  connections_.emplace(link, fresh);
  return fresh;
}

mesh::connection_ptr mesh::find(link_id link) const {
  auto found = connections_.find(link);
  return found == connections_.end() ? nullptr : found->second;
}

// -- bytes ----------------------------------------------------------------------------------------

link_id mesh::on_accepted(std::string remote) {
  auto [link, todo] = membership_.on_accepted(now_);
  add(link, handshake::side::acceptor, std::move(remote));
  perform(std::move(todo));
  return link;
}

void mesh::on_bytes(link_id link, std::span<const std::byte> bytes) {
  auto from = find(link); // shared: a frame may close the connection
  if (!from)
    return;
  if (from->accepted && from->tls && !from->greeted)
    on_strange_bytes(link, *from, bytes);
  else
    take(link, *from, bytes);
}

/// All that comes in passes here, but for answers that callers read themselves.
void mesh::take(link_id link, connection& from, std::span<const std::byte> bytes) {
  auto broken = from.tls ? decrypt(link, from, bytes) : check_plain(from, bytes);
  if (broken && !from.tls)
    bytes = {};
  take_plain(link, from, bytes, broken);
}

/// `broken` is why nothing follows `bytes`. What TLS answers leaves with what is answered.
void mesh::take_plain(link_id link, connection& from, std::span<const std::byte> bytes,
                      const caf::error& broken) {
  if (from.up && membership_.on_heard(link, now_))
    publish(true);
  auto up = from.tls ? from.up : nullptr;
  from.parser.feed(bytes);
  if (auto held = read(link, from))
    up = std::move(held);
  if (broken && !from.closed)
    give_up(link, broken);
  if (up && up->flush())
    out_.drain(link, up);
}

/// Deals with all frames that are whole. Returns the channel where it is held since: with a single
/// frame, who answers sends at once.
std::shared_ptr<channel> mesh::read(link_id link, connection& from) {
  std::shared_ptr<channel> held;
  auto before = frames_read_;
  while (!from.closed) {
    auto next = from.parser.next();
    if (!next)
      give_up(link, next.error());
    if (!next || !*next)
      break;
    if (from.up && !held && !from.parser.is_drained()) {
      held = from.up;
      held->hold();
    }
    on_frame(link, from, **next);
    if ((++frames_read_ - before) % piece_frames == 0 && in_pieces_ && held)
      send_piece(link, held);
  }
  return held;
}

/// Sends what has gathered, and lets the next frames wait again.
void mesh::send_piece(link_id link, const std::shared_ptr<channel>& held) {
  if (held->flush())
    out_.drain(link, held);
  held->hold();
}

void mesh::on_frame(link_id link, connection& from, const frame& received) {
  if (!from.up)
    on_handshake(link, from, received);
  else if (received.kind < frame_kind::first_user)
    on_member_frame(link, from, received);
  else
    listeners_.each([channel = from.up, &received](listener& who) {
      who.on_frame(channel, received.kind, received.payload);
    });
}

void mesh::on_member_frame(link_id link, connection&, const frame& received) {
  switch (received.kind) {
  case frame_kind::beat: {
    auto decoded = decode_beat(received.payload);
    if (!decoded)
      return give_up(link, decoded.error());
    stale_board_ = true;
    if (membership_.on_beat(link, *decoded, now_))
      publish(true);
    return;
  }
  case frame_kind::services: {
    auto text = reinterpret_cast<const char*>(received.payload.data());
    if (membership_.on_services(link, std::string{text, received.payload.size()}))
      publish(true);
    return;
  }
  case frame_kind::goodbye:
    return perform(membership_.on_goodbye(link, now_));
  case frame_kind::hello:
  case frame_kind::proof:
  case frame_kind::welcome:
  case frame_kind::refuse:
    return give_up(link, make_error(errc::malformed_frame, "a second handshake"));
  default:
    return; // of a later version: not for us
  }
}

// -- handshake ------------------------------------------------------------------------------------

void mesh::on_handshake(link_id link, connection& from, const frame& received) {
  auto step = from.talk.on_frame(received);
  if (!step.reply.empty())
    write(link, from, step.reply);
  switch (step.what) {
  case handshake::event::wait:
    return;
  case handshake::event::peer_known:
    return on_peer_known(link, from);
  case handshake::event::proved:
    return on_proved(link, from);
  case handshake::event::established:
    bring_up(link, from, {});
    return perform(membership_.on_established(link, from.talk.peer(), now_, wall_));
  case handshake::event::own:
    return on_own(link, from);
  case handshake::event::failed:
    if (!step.is_duplicate)
      return give_up(link, step.reason);
    membership_.on_closed(link, step.reason, now_);
    return drop(link, {}); // nothing is wrong: not a word
  }
}

void mesh::on_peer_known(link_id link, connection& from) {
  if (!may_be_peer(link, from))
    return;
  if (membership_.on_peer_known(link, from.talk.peer(), now_) == membership::answer::close)
    return drop(link, {});
  write(link, from, from.talk.proof_frame());
}

void mesh::on_proved(link_id link, connection& from) {
  if (!may_be_peer(link, from))
    return;
  membership_actions todo;
  if (auto why = membership_.on_proved(link, from.talk.peer(), now_, wall_, todo)) {
    write(link, from, refuse_frame(*why));
    return drop(link, {});
  }
  bring_up(link, from, from.talk.welcome_frame());
  perform(std::move(todo));
}

void mesh::on_own(link_id link, connection& from) {
  // The other end is the dialled connection whose nonce came in here.
  auto other = std::find_if(connections_.begin(), connections_.end(), [&](const auto& entry) {
    return entry.first != link && entry.second->talk.own_nonce() == from.talk.peer_nonce();
  });
  if (other != connections_.end()) {
    auto dialled = other->first;
    membership_.on_own(dialled);
    drop(dialled, {});
  }
  membership_.on_closed(link, {}, now_);
  drop(link, {});
}

/// Makes the channel; the services go first, so that the member is complete when it is seen.
void mesh::bring_up(link_id link, connection& what, std::vector<char> last_word) {
  if (!last_word.empty())
    write(link, what, last_word);
  what.parser.limit(options_.limits.frame_bytes_max);
  std::weak_ptr<doorbell> bell = bell_; // a channel may outlive the node
  what.up = std::make_shared<channel>(
      what.talk.peer(), options_.limits,
      [bell, link] {
        if (auto rung = bell.lock())
          rung->wake(link);
      },
      what.tls);
  out_.attach(link, what.up);
  const auto& services = membership_.members().find(identity_->self.id)->services;
  if (!services.empty())
    what.up->send_always(frame_kind::services, bytes_of(services));
}

// -- ends -----------------------------------------------------------------------------------------

/// Closes a link for a reason of ours that the membership has yet to hear.
void mesh::give_up(link_id link, const caf::error& reason) {
  if (auto what = find(link); what && what->up && reason == errc::frame_too_large)
    warn("no link with " + what->up->peer().id + " lasts: it sent " + text_of(reason) +
         "; frame_bytes_max must be the same on all nodes");
  auto todo = membership_.on_closed(link, reason, now_);
  drop(link, reason);
  perform(std::move(todo));
}

/// Closes a link that the membership has forgotten already.
void mesh::drop(link_id link, const caf::error& reason) {
  auto what = find(link);
  if (!what)
    return;
  connections_.erase(link);
  what->closed = true;
  out_.close(link);
  if (!what->up) {
    if (reason)
      log_handshake(*what, reason);
    return;
  }
  what->up->close();
  publish(false); // nobody finds the channel any more when they hear of its end
  listeners_.each([&](listener& who) { who.on_link_down(what->up, reason); });
}

void mesh::on_closed(link_id link, const caf::error& reason) {
  auto what = find(link);
  if (!what)
    return;
  connections_.erase(link);
  what->closed = true;
  if (what->up)
    what->up->close();
  else if (what->tls && !what->tls->is_up() && reason != errc::no_such_member)
    log_handshake(*what, make_error(errc::handshake_failed,
                                    "closed within the handshake of TLS: has the peer TLS?"));
  perform(membership_.on_closed(link, reason, now_));
  if (what->up)
    listeners_.each([&](listener& who) { who.on_link_down(what->up, reason); });
}

} // namespace fly::cluster
