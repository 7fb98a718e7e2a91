#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "apps/local/delay_line.hpp"
#include "fly/cluster/address.hpp"
#include "fly/cluster/tcp.hpp"

namespace fly::local {

/// What holds on lines now; index 0 is the direction to the target, 1 the one back.
struct line_rules {
  std::chrono::milliseconds delay{0};
  std::array<bool, 2> cut{};

  friend bool operator==(const line_rules&, const line_rules&) = default;
};

/// The rules of lines, which change while these carry. Safe from any thread.
class live_rules {
public:
  void set(const line_rules& what) {
    delay_ms_ = what.delay.count();
    cut_[0] = what.cut[0];
    cut_[1] = what.cut[1];
  }
  void delay(std::chrono::milliseconds each_way) { delay_ms_ = each_way.count(); }
  void cut(std::size_t which, bool value) { cut_.at(which) = value; }

  line_rules now() const {
    return {.delay = std::chrono::milliseconds{delay_ms_.load()}, .cut = {cut_[0], cut_[1]}};
  }

private:
  std::atomic<std::int64_t> delay_ms_{0};
  std::array<std::atomic<bool>, 2> cut_{};
};

/// One connection through a delay proxy: two sockets and a line each way. Index 0 is the client's
/// side, 1 the target's; line `i` carries what side `i` has sent. Never blocks. Only on the proxy's
/// thread.
class delay_connection {
public:
  using time_point = delay_line::time_point;

  /// Takes the client's socket (not blocking); the target is dialled as if the client's SYN had
  /// been under way for the delay. `rules` outlive the object.
  delay_connection(cluster::socket_owner client, const cluster::socket_address& target,
                   std::size_t bytes_max, time_point now, const live_rules& rules);

  /// Resets what has not ended in order.
  ~delay_connection();

  delay_connection(const delay_connection&) = delete;
  delay_connection& operator=(const delay_connection&) = delete;

  /// Sends on what is due. Call before each wait.
  void pass(time_point now);

  /// Returns what to wait for on a side's socket, for poll(2); 0 for nothing at all.
  short events(std::size_t side) const;

  /// Takes what poll(2) has found on a side's socket.
  void on_events(std::size_t side, short found, time_point now);

  /// Returns the socket of a side, -1 where there is none (yet).
  int descriptor(std::size_t side) const { return sockets_.at(side).descriptor(); }

  /// Returns when `pass` has to be called next without any event; nothing for never.
  std::optional<time_point> next() const;

  /// Returns whether it is over.
  bool over() const noexcept { return reset_ || (passed_[0] && passed_[1]); }

private:
  void dial(time_point now, const line_rules& rules);
  void read(std::size_t side, time_point now, const line_rules& rules);
  void pass_line(std::size_t from, time_point now, const line_rules& rules);

  const live_rules& rules_;
  cluster::socket_address target_;
  std::array<cluster::socket_owner, 2> sockets_;
  std::array<delay_line, 2> lines_;
  std::array<bool, 2> full_{};   // the socket of this side takes no more until it says so
  std::array<bool, 2> passed_{}; // the end of what this side sends has come out, or never will
  time_point dial_due_;
  bool dialled_ = false;
  bool connected_ = false; // to the target
  bool reset_ = false;
};

} // namespace fly::local
