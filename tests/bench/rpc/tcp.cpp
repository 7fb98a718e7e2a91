// The floor under all: a ping-pong over a TCP socket, blocking, without frames.
#include <stdexcept>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/rpc/peer.hpp"

namespace {

using namespace fly::bench;

/// Reads exactly `bytes.size()`; false at the end.
bool read_all(int from, std::vector<char>& bytes) {
  for (std::size_t done = 0; done < bytes.size();) {
    auto got = ::recv(from, bytes.data() + done, bytes.size() - done, 0);
    if (got <= 0)
      return false;
    done += static_cast<std::size_t>(got);
  }
  return true;
}

bool write_all(int to, const std::vector<char>& bytes) {
  for (std::size_t done = 0; done < bytes.size();) {
    auto put = ::send(to, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
    if (put <= 0)
      return false;
    done += static_cast<std::size_t>(put);
  }
  return true;
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(port);
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return where;
}

void no_delay(int socket) {
  int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/// The first four bytes of a connection say how long each message is.
void echo(int from) {
  no_delay(from);
  std::uint32_t size = 0;
  if (::recv(from, &size, sizeof(size), MSG_WAITALL) != sizeof(size))
    return;
  std::vector<char> bytes(size);
  while (read_all(from, bytes) && write_all(from, bytes)) {
  }
  ::close(from);
}

void serve(const std::function<void(std::uint16_t)>& ready) {
  int listening = ::socket(AF_INET, SOCK_STREAM, 0);
  auto where = loopback(0);
  socklen_t length = sizeof(where);
  if (::bind(listening, reinterpret_cast<sockaddr*>(&where), length) != 0 ||
      ::listen(listening, 8) != 0 ||
      ::getsockname(listening, reinterpret_cast<sockaddr*>(&where), &length) != 0)
    throw std::runtime_error{"cannot listen"};
  ready(ntohs(where.sin_port));
  for (;;)
    std::thread{echo, ::accept(listening, nullptr, nullptr)}.detach();
}

class tcp_client final : public client {
public:
  explicit tcp_client(std::uint16_t port) : port_(port) {}

  void run(const work& what, stopwatch& time) override {
    int to = ::socket(AF_INET, SOCK_STREAM, 0);
    auto where = loopback(port_);
    if (::connect(to, reinterpret_cast<sockaddr*>(&where), sizeof(where)) != 0)
      throw std::runtime_error{"cannot connect"};
    no_delay(to);
    auto size = static_cast<std::uint32_t>(what.bytes);
    ::send(to, &size, sizeof(size), MSG_NOSIGNAL);
    std::vector<char> bytes(what.bytes, 'x');
    for (bool more = true; more;) {
      auto begun = fly::bench::clock::now();
      if (!write_all(to, bytes) || !read_all(to, bytes))
        throw std::runtime_error{"the connection was lost"};
      more = time.lap(begun);
    }
    ::close(to);
  }

private:
  std::uint16_t port_;
};

} // namespace

int main(int argc, char** argv) {
  return peer_main(argc, argv,
                   {serve, [](std::uint16_t port) { return std::make_unique<tcp_client>(port); }});
}
