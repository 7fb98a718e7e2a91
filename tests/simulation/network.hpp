#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tests/simulation/random.hpp"
#include "tests/simulation/schedule.hpp"

namespace fly::simulation {

struct wire;
class network;

/// What a program hears of one of its connections; all on its machine, in order.
struct socket_user {
  std::function<void(std::span<const std::byte>)> on_bytes;
  /// Tells how many bytes the machine has not taken yet of those that were sent.
  std::function<void(std::size_t)> on_taken;
  std::function<void()> on_closed;
};

/// One end of a TCP connection.
class socket {
public:
  socket(network& net, machine& owner) : net_(net), owner_(&owner), life_(owner.life) {}

  void set_user(socket_user user) { user_ = std::move(user); }

  /// Sends bytes, in order. They wait where the other end does not take them.
  void send(std::span<const char> bytes);

  /// Ends this side after all that was sent; nothing is heard of it any more.
  void finish();

  machine& owner() const noexcept { return *owner_; }

private:
  friend class network;

  /// Bytes on their way, or the end of them.
  struct chunk {
    std::vector<char> bytes;
    bool end = false;
    moment arrives{0};
  };

  network& net_;
  machine* owner_;
  std::uint64_t life_;
  std::weak_ptr<wire> wire_;
  socket_user user_;
  bool open_ = true; // the program has it
  bool connected_ = false;
  bool carrying_ = false; // a delivery is planned
  std::deque<chunk> unsent_;
  std::size_t unsent_bytes_ = 0;
  std::deque<chunk> flying_;
  std::size_t unacknowledged_ = 0; // bytes that were sent and that the other program has not read
  moment last_arrival_{0};
  moment retry_{0};
};

/// Both ends of a connection.
struct wire {
  std::shared_ptr<socket> dialler;
  std::shared_ptr<socket> acceptor; // null until it is accepted
  std::string remote;
};

/// How good the network is.
struct network_quality {
  std::chrono::microseconds near_latency{300};
  std::chrono::microseconds far_latency{40'000};
  std::chrono::microseconds jitter{2'000};
  /// Of a hundred packets, those that are lost and come after a retransmission.
  std::uint64_t loss_percent = 0;
  /// Of a hundred sends, those that come as they were sent; the others come in pieces.
  std::uint64_t whole_percent = 90;
};

/// Carries bytes between machines as TCP does: in order on each connection, late where packets are
/// lost, not at all where the way is cut, with a window of unread bytes; connections are refused,
/// reset, or just silent. Packets themselves are never seen twice or out of order by a program,
/// because TCP hides that: what is reordered and doubled are connections, which race each other.
class network {
public:
  /// Bytes on one connection that the other program has not read: the rest waits at the sender.
  static constexpr std::size_t window_bytes = 32 * 1024;

  /// Takes connections at one machine.
  using acceptor = std::function<void(std::shared_ptr<socket>, std::string remote)>;

  network(schedule& when, random_source random) : when_(when), random_(random) {}

  network_quality quality{};

  /// Takes connections at the machine's address until it ends or crashes.
  void listen(machine& where, acceptor take);
  void unlisten(const machine& where);

  /// Begins to connect; a failure is told by `on_closed`.
  std::shared_ptr<socket> dial(machine& from, const std::string& address);

  /// Cuts the way from `a` to `b`, not the one back; or heals it. Cuts are counted.
  void cut(const machine& a, const machine& b) { ++cuts_[{a.index, b.index}]; }
  void heal(const machine& a, const machine& b);
  void heal_all() { cuts_.clear(); }
  bool is_cut(const machine& a, const machine& b) const;

  /// Resets the connections between two machines, as a middlebox does: what flies is lost.
  void reset(const machine& a, const machine& b);

  /// Ends all that a machine has; the others hear of it where `told`.
  void crash(machine& who, bool told);

  /// Returns a time that a packet takes, without loss.
  moment latency(const machine& from, const machine& to);

  /// Adds the machine to those that can be dialled.
  void add(machine& who) { machines_[who.address] = &who; }

  /// What one machine's programs were given.
  struct traffic {
    std::uint64_t bytes = 0;
    std::uint64_t messages = 0;
  };
  /// Returns what has reached `who` and what of it has reached others.
  traffic to(const machine& who) { return to_[who.index]; }
  traffic from(const machine& who) { return from_[who.index]; }

private:
  friend class socket;

  void ask(const std::shared_ptr<wire>& on, machine& target, moment pause);
  void welcome(const std::shared_ptr<wire>& on, machine& target);
  void connected(const std::shared_ptr<wire>& on, moment pause);
  void move(const std::shared_ptr<socket>& from);
  void carry(const std::shared_ptr<socket>& from);
  void arrive(const std::shared_ptr<socket>& from);
  void deliver(const std::shared_ptr<socket>& from, const std::shared_ptr<socket>& to,
               socket::chunk what);
  void acknowledge(const std::shared_ptr<socket>& from, const machine& by, std::size_t bytes,
                   moment pause);
  void close_later(const std::shared_ptr<socket>& who, const machine& by);
  static void say_closed(socket& who);
  static std::shared_ptr<socket> other(const std::shared_ptr<wire>& on, const socket& one);

  schedule& when_;
  random_source random_;
  std::map<std::string, machine*> machines_;
  std::map<std::size_t, acceptor> listening_; // by machine
  std::map<std::pair<std::size_t, std::size_t>, int> cuts_;
  std::vector<std::shared_ptr<wire>> wires_;
  std::uint64_t last_port_ = 40'000;
  std::map<std::size_t, traffic> to_; // by machine
  std::map<std::size_t, traffic> from_;
};

} // namespace fly::simulation
