#include "tests/support/round_robin.hpp"

#include <array>
#include <stdexcept>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace fly::test {

namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_port = htons(port);
  result.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return result;
}

int connect_to(std::uint16_t port) {
  int result = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  auto where = loopback(port);
  if (::connect(result, reinterpret_cast<sockaddr*>(&where), sizeof where) == 0)
    return result;
  ::close(result);
  return -1;
}

/// Copies until one end is over, and then ends both.
void copy(int from, int to) {
  std::array<char, 16 * 1024> bytes{};
  for (;;) {
    auto got = ::recv(from, bytes.data(), bytes.size(), 0);
    if (got <= 0 || ::send(to, bytes.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL) != got)
      break;
  }
  ::shutdown(from, SHUT_RDWR);
  ::shutdown(to, SHUT_RDWR);
}

} // namespace

round_robin::round_robin(std::vector<std::uint16_t> targets)
    : targets_(std::move(targets)), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  auto where = loopback(0);
  socklen_t size = sizeof where;
  auto* address = reinterpret_cast<sockaddr*>(&where);
  if (::bind(listener_, address, size) != 0 || ::listen(listener_, 64) != 0 ||
      ::getsockname(listener_, address, &size) != 0)
    throw std::runtime_error{"no port to listen on"};
  port_ = ntohs(where.sin_port);
  acceptor_ = std::thread{[this] { accept_all(); }};
}

round_robin::~round_robin() {
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  drop();
  for (auto& each : copiers_)
    each.join();
  for (int each : sockets_)
    ::close(each);
  ::close(listener_);
}

void round_robin::accept_all() {
  for (std::size_t next = 0;; ++next) {
    int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0)
      return;
    int server = connect_to(targets_[next % targets_.size()]);
    if (server < 0) {
      ::close(client);
      continue;
    }
    std::lock_guard guard{mutex_};
    sockets_.insert(sockets_.end(), {client, server});
    copiers_.emplace_back(copy, client, server);
    copiers_.emplace_back(copy, server, client);
  }
}

void round_robin::drop() {
  std::lock_guard guard{mutex_};
  for (int each : sockets_)
    ::shutdown(each, SHUT_RDWR);
}

} // namespace fly::test
