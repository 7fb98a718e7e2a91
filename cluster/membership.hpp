#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <caf/error.hpp>

#include "fly/cluster/beat.hpp"
#include "fly/cluster/dial_table.hpp"
#include "fly/cluster/directory.hpp"
#include "fly/cluster/frozen_clock.hpp"
#include "fly/cluster/handshake.hpp"

namespace fly::cluster {

/// Names one connection of a node; never used twice.
using link_id = std::uint64_t;

/// Bounds of a `membership`; the meaning of each is told in options.hpp.
struct membership_options {
  member self{};
  std::chrono::milliseconds heartbeat{1000};
  std::chrono::milliseconds silence_max{5000};
  std::chrono::milliseconds handshake_timeout{3000};
  std::size_t strangers_max = 64;
  actors::backoff_options dial{};
  std::uint64_t seed = 0;
};

/// What the owner of the connections has to do now.
struct membership_actions {
  struct dial {
    link_id link;
    std::string address{};
  };
  struct close {
    link_id link;
    caf::error reason{};
  };

  /// Connect to these; each gets `on_closed` or comes up.
  std::vector<dial> dials{};
  /// Send a heartbeat on these.
  std::vector<link_id> beats{};
  /// Close these; the membership has forgotten them already.
  std::vector<close> closes{};
  /// One line each for the log: who came, who went.
  std::vector<std::string> notes{};
  /// Whether members, their presence, claims (not positions), services or links have changed.
  bool changed = false;
};

/// Who is there, who is to be dialled, who is due a heartbeat, who is silent for too long, and
/// which of two connections stays. Takes events with their time, gives what to do. A pure value.
class membership {
public:
  using time_point = std::chrono::steady_clock::time_point;
  using wall_time = std::chrono::system_clock::time_point;

  /// What the owner does with a connection whose peer has become known.
  enum class answer : std::uint8_t { go_on, close };

  membership(membership_options options, time_point now, wall_time since);

  /// Takes the addresses that discovery has found.
  void on_addresses(std::vector<std::string> addresses) { addresses_ = std::move(addresses); }

  /// Lets the time pass. Call it at least every fourth of the heartbeat.
  membership_actions tick(time_point now, wall_time wall);

  /// Adds a connection that somebody has dialled to us; the oldest stranger may have to go.
  std::pair<link_id, membership_actions> on_accepted(time_point now);

  /// Decides as the dialler, before the proof is sent: a connection beside an established one of
  /// the same process is given up without a word. After `close` the link is forgotten.
  answer on_peer_known(link_id link, const member& peer, time_point now);

  /// Decides as the acceptor, once the peer has proved who it is. Nothing: the link is up, and
  /// those in `closes` go. Else it is refused with the reason, and forgotten.
  std::optional<refusal> on_proved(link_id link, const member& peer, time_point now, wall_time wall,
                                   membership_actions& todo);

  /// Says that the dialled link is up.
  membership_actions on_established(link_id link, const member& peer, time_point now,
                                    wall_time wall);

  /// Says that the dialled link led to this very process. The link is forgotten.
  void on_own(link_id link);

  /// Says that bytes came: a sign of life. Returns whether presence has changed.
  bool on_heard(link_id link, time_point now);

  /// Returns the heartbeat to send on a link that is up.
  beat make_beat(link_id link, time_point now);

  /// Takes a heartbeat. Returns whether anything but positions, load and times has changed.
  bool on_beat(link_id link, const beat& received, time_point now);

  /// Takes the announcement of the rpc floor. Returns whether it has changed.
  bool on_services(link_id link, std::string services);

  /// Takes the goodbye of a member: it is gone at once, and its link is closed.
  membership_actions on_goodbye(link_id link, time_point now);

  /// Says that a connection is lost. Its member is suspect until it comes back or is gone.
  membership_actions on_closed(link_id link, const caf::error& reason, time_point now);

  /// Sets what this node says of itself. Returns whether more than positions has changed.
  bool set_own_claim(claim database);
  bool set_own_services(std::string services);
  void set_own_load(std::uint32_t load);

  /// Returns the members, self included.
  const directory& members() const noexcept { return members_; }

  /// Returns the link that is up to the member `id`; 0 where there is none.
  link_id link_to(std::string_view id) const;

  /// Returns the number of connections, up or not.
  std::size_t links() const noexcept { return links_.size(); }

private:
  struct link {
    bool accepted = false;
    bool asked = false; // a dialled link that has sent its proof
    bool up = false;
    std::string address{}; // where it was dialled
    std::string peer_id{}; // from peer_known or proved on
    std::uint64_t incarnation = 0;
    time_point since{}; // of the connection, then of being up
    time_point next_beat{};
    std::uint64_t peer_stamp_us = 0; // sent_us of the peer's last heartbeat
    time_point peer_stamp_at{};
  };
  struct life {
    link_id link = 0;   // 0: none is up
    time_point heard{}; // the last sign of life
  };

  member_view& own() { return *members_.find(options_.self.id); }
  void establish(link_id id, const member& peer, time_point now, wall_time wall,
                 membership_actions& todo);
  void bury(const std::string& id, caf::error reason, time_point now, membership_actions& todo);
  void close_late_handshakes(time_point now, membership_actions& todo);
  void judge_silence(time_point now, membership_actions& todo);
  void dial_due(time_point now, membership_actions& todo);
  void forget_dialled(const link& lost, time_point now);

  membership_options options_;
  frozen_clock clock_;
  time_point started_;
  directory members_;
  std::map<std::string, life, std::less<>> lives_; // each member but self
  std::map<link_id, link> links_;
  link_id last_link_ = 0;
  std::vector<std::string> addresses_; // from discovery
  dial_table dials_;
};

} // namespace fly::cluster
