#pragma once

#include <chrono>

#include <httplib.h>

#include <sys/socket.h>

namespace fly::apps {

/// A server of cpp-httplib that gives a connection one request, and each half of it a time in all:
/// cpp-httplib bounds only a silence, so whoever says a byte a second would keep a thread for as
/// long as they like. Closes the connection after the answer, or at the end of the time.
class hasty_server final : public httplib::Server {
public:
  /// `request_max` is the longest time for a client to say its request: line, headers and body.
  explicit hasty_server(std::chrono::milliseconds request_max) : request_max_(request_max) {}

  /// Longest time for it to take the answer, from its first byte on.
  static constexpr std::chrono::milliseconds answer_max{5000};

  /// Most connections that wait to be accepted.
  static constexpr int backlog_max = 128;

  /// Lets so many wait; call once it is bound. cpp-httplib lets 5, and one more is answered a
  /// second later, when its client's kernel asks again: too late for a probe.
  void widen_backlog() { ::listen(svr_sock_, backlog_max); }

private:
  bool process_and_close_socket(socket_t socket) override;

  const std::chrono::milliseconds request_max_;
};

} // namespace fly::apps
