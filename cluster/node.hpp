#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <caf/error.hpp>

#include "fly/cluster/channel.hpp"
#include "fly/cluster/claim.hpp"
#include "fly/cluster/listener.hpp"
#include "fly/cluster/member.hpp"
#include "fly/cluster/options.hpp"
#include "fly/cluster/primary.hpp"

namespace caf {
class actor_system;
class actor_system_config;
} // namespace caf

namespace fly::cluster {

class node_core;
class node_state;

/// Sets what a node needs of an actor system that is lent to it: the middleman, a scheduler that
/// does not sleep, no middleman workers, the guard against blocking calls. Values that the user has
/// set already stay. Call it before the system is built; a second call changes nothing.
void prepare(caf::actor_system_config& config);

/// This process as a member of the cluster. Finds the others, proves the secret, keeps one
/// connection to each, and knows who is primary. A resource: not copied, not moved. All functions
/// are safe from any thread, and none blocks but `join`, `leave` and the destructor.
class node {
public:
  /// Makes a node with an actor system of its own. Never throws for bad options: `join` tells.
  explicit node(options settings);

  /// Makes a node on `lent`, which was prepared and outlives it.
  node(caf::actor_system& lent, options settings);

  /// Leaves, closes all links and waits until all actors are gone that run on a system of its own:
  /// endpoints, databases and supervisors end before it, or it waits for them, and logs that after
  /// a second. On any thread but an actor's; only where another one has spawned actors on that
  /// system by itself, CAF 0.17 waits until that thread has ended. Blocks as `leave` does.
  ~node();

  node(const node&) = delete;
  node& operator=(const node&) = delete;

  /// Listens, discovers and dials; returns at once, the members come later. Call once; after an
  /// error again, if you like. Errors, and then nothing was started: errc::invalid_argument (an
  /// option, an address that may not be listened on, a lent system that was not prepared),
  /// errc::cannot_listen, errc::overloaded (there is no thread to ask name servers),
  /// errc::shutting_down after `leave`.
  caf::error join();

  /// Leaves in order: refuses new calls, so that the others choose elsewhere, lets running ones
  /// end, says goodbye to all members and closes all links. Blocks until it is done, about
  /// `options::kill_timeout` at most; idempotent. A node that has left does not come back.
  void leave();

  /// Reads the files of `options::tls` again and takes them for the links that begin from now on;
  /// those that are up stay as they are. Blocks for the reading. Errors, and then everything stays:
  /// errc::invalid_argument, naming file and reason, also where the node began without TLS.
  caf::error reload_tls();

  /// Returns until when the certificate that new links show is valid, and all that it was signed
  /// by; nothing without TLS, and before `join`.
  std::optional<std::chrono::system_clock::time_point> certificate_end() const;

  /// Returns the label of this node's region.
  const std::string& my_region() const noexcept;

  /// Returns the region of the primary group; where that is empty the last known one, else the
  /// label.
  std::string primary_region() const;

  /// Returns whether this node is in the primary group.
  bool is_primary() const;

  /// Returns the members, self included and observers not, sorted by region and id.
  std::vector<member> members() const;

  /// Returns the members of `region`, sorted by id; empty where there is none.
  std::vector<member> region_nodes(std::string_view region) const;

  /// Returns the member of the primary group that holds the lease of the leader, as the members
  /// tell it: a moment late, and no fence; a write that must run on the leader alone is served with
  /// `on_leader`. Where no database is attached, or none has fly's own tables, the member with the
  /// smallest id of the primary group. Nothing where nobody leads, or two servers claim to be
  /// primary. `listener::on_leader` tells of each change.
  std::optional<member> leader() const;

  /// Returns this node's own description. The address is known from the start.
  member self() const;

  // -- for the floors above and tools
  // ------------------------------------------------------------------

  /// Returns all that is known of each member, self included and observers not, sorted by region
  /// and id.
  std::vector<member_view> views() const;

  /// Returns the live members whose database is the writable primary (before any database has
  /// answered: the members of the primary region), sorted by id.
  std::vector<member> primary_group() const;

  /// Returns all that is known of who is primary, a moment ago.
  primary_state primary() const;

  /// Returns the channel to the member `id`, null where none is up, or `id` is this node.
  std::shared_ptr<channel> channel_to(std::string_view id) const;

  /// Says what this node's database is. Sent with the next heartbeat, at once where more than the
  /// position has changed.
  void announce(claim database);

  /// Lets `who` serve on this node: announce services and load, and answer what comes. There is one
  /// at a time: false where another one does. `vacate` makes room; nothing for anybody else.
  bool occupy(const void* who) noexcept;
  void vacate(const void* who) noexcept;

  /// Says what this node serves, opaque to this floor, at most 64 KiB less than `frame_bytes_max`.
  /// Sent at once, and to each new member before any other frame.
  void announce_services(std::string services);

  /// Says how many calls run or wait here. Sent with the next heartbeat.
  void announce_load(std::uint32_t running);

  /// Registers `who`, which hears of everything from now on.
  void listen(std::shared_ptr<listener> who);

  /// Forgets `who`. Returns after the last call into it has; not callable from inside one.
  void unlisten(const listener* who);

  /// Returns the actor system that the node runs on.
  caf::actor_system& system() const noexcept;

  /// Returns the options as they were given.
  const options& settings() const noexcept;

private:
  node_state& state() const noexcept;

  std::unique_ptr<node_core> core_;
};

} // namespace fly::cluster
