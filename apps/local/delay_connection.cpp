#include "apps/local/delay_connection.hpp"

#include <algorithm>
#include <cerrno>
#include <span>
#include <utility>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

namespace fly::local {

namespace {

constexpr std::size_t client = 0;
constexpr std::size_t target = 1;

/// Small writes must not wait for one another: the delay is ours alone.
void send_at_once(int descriptor) {
  int on = 1;
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/// Makes the close of a socket a reset.
void reset_at_close(int descriptor) {
  linger hard{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
}

bool is_later(int problem) {
  return problem == EAGAIN || problem == EWOULDBLOCK || problem == EINTR;
}

} // namespace

delay_connection::delay_connection(cluster::socket_owner from, const cluster::socket_address& where,
                                   std::size_t bytes_max, time_point now, const live_rules& rules)
    : rules_(rules), target_(where), lines_{delay_line{bytes_max}, delay_line{bytes_max}},
      dial_due_(now + rules.now().delay) {
  sockets_[client] = std::move(from);
  send_at_once(sockets_[client].descriptor());
}

delay_connection::~delay_connection() {
  if (passed_[client] && passed_[target] && !reset_)
    return;
  for (const auto& it : sockets_)
    if (it.descriptor() >= 0)
      reset_at_close(it.descriptor());
}

void delay_connection::dial(time_point now, const line_rules& rules) {
  dialled_ = true;
  auto made = cluster::start_connect(target_);
  if (made) {
    sockets_[target] = std::move(*made);
    send_at_once(sockets_[target].descriptor());
  } else {
    lines_[target].end(ending::reset, now + rules.delay);
  }
}

void delay_connection::pass(time_point now) {
  auto rules = rules_.now();
  if (!dialled_ && !rules.cut[client] && dial_due_ <= now)
    dial(now, rules);
  for (std::size_t from : {client, target})
    if (!rules.cut[from] && !passed_[from] && !reset_)
      pass_line(from, now, rules);
}

void delay_connection::pass_line(std::size_t from, time_point now, const line_rules& rules) {
  auto to = 1 - from;
  auto& line = lines_[from];
  if (to == target && !connected_)
    return;
  while (!full_[to]) {
    auto bytes = line.ready(now);
    if (bytes.empty())
      break;
    auto sent =
        ::send(sockets_[to].descriptor(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      line.pop(static_cast<std::size_t>(sent));
    } else if (is_later(errno)) {
      full_[to] = true;
    } else { // that side is gone; the sender hears of it as late as of anything else
      passed_[from] = true;
      reset_ = passed_[to]; // nothing can tell it any more
      lines_[to].end(ending::reset, now + rules.delay);
      return;
    }
  }
  auto ended = line.ended(now);
  if (!ended)
    return;
  passed_[from] = true;
  if (*ended == ending::reset)
    reset_ = true;
  else
    ::shutdown(sockets_[to].descriptor(), SHUT_WR);
}

short delay_connection::events(std::size_t side) const {
  if (sockets_.at(side).descriptor() < 0)
    return 0;
  if (side == target && !connected_)
    return lines_[target].takes() ? POLLOUT : 0;
  int result = 0;
  if (!passed_[side] && lines_[side].takes())
    result |= POLLIN;
  if (full_[side] && !passed_[1 - side])
    result |= POLLOUT;
  return static_cast<short>(result);
}

void delay_connection::on_events(std::size_t side, short found, time_point now) {
  auto rules = rules_.now();
  auto wanted = events(side);
  if (side == target && !connected_) {
    int problem = 0;
    socklen_t size = sizeof(problem);
    ::getsockopt(sockets_[target].descriptor(), SOL_SOCKET, SO_ERROR, &problem, &size);
    connected_ = problem == 0;
    if (problem != 0)
      lines_[target].end(ending::reset, now + rules.delay);
    return;
  }
  // POLLERR and POLLHUP come unasked: the call that was wanted finds out what they mean.
  if ((wanted & POLLOUT) != 0 && (found & (POLLOUT | POLLERR | POLLHUP)) != 0)
    full_[side] = false;
  if ((wanted & POLLIN) != 0 && (found & (POLLIN | POLLERR | POLLHUP)) != 0)
    read(side, now, rules);
}

void delay_connection::read(std::size_t side, time_point now, const line_rules& rules) {
  std::array<char, 64 * 1024> buffer; // not zeroed: recv fills it
  auto count = ::recv(sockets_[side].descriptor(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  auto due = now + rules.delay;
  if (count > 0)
    lines_[side].push({buffer.data(), static_cast<std::size_t>(count)}, due);
  else if (count == 0)
    lines_[side].end(ending::half_close, due);
  else if (!is_later(errno))
    lines_[side].end(ending::reset, due);
}

std::optional<delay_connection::time_point> delay_connection::next() const {
  auto rules = rules_.now();
  std::optional<time_point> result;
  auto take = [&result](std::optional<time_point> when) {
    if (when && (!result || *when < *result))
      result = when;
  };
  if (!dialled_ && !rules.cut[client])
    take(dial_due_);
  if (connected_ && !rules.cut[client] && !passed_[client] && !full_[target])
    take(lines_[client].next());
  if (!rules.cut[target] && !passed_[target] && !full_[client])
    take(lines_[target].next());
  return result;
}

} // namespace fly::local
