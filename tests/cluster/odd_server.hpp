#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <doctest/doctest.h>

namespace fly::test {

/// A "name server" that answers each question with what `reply` makes of it, and not at all
/// where that is nothing.
class odd_server {
public:
  using packet = std::vector<unsigned char>;

  explicit odd_server(std::function<packet(packet)> reply)
      : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)), reply_(std::move(reply)) {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof any;
    auto* generic = reinterpret_cast<sockaddr*>(&any);
    REQUIRE(::bind(socket_, generic, size) == 0);
    REQUIRE(::getsockname(socket_, generic, &size) == 0);
    address = "127.0.0.1:" + std::to_string(ntohs(any.sin_port));
    thread_ = std::thread{[this] { serve(); }};
  }

  ~odd_server() {
    stopped_ = true;
    thread_.join();
    ::close(socket_);
  }

  std::string address;

private:
  void serve() {
    while (!stopped_) {
      pollfd one{socket_, POLLIN, 0};
      if (::poll(&one, 1, 20) <= 0)
        continue;
      packet question(4096);
      sockaddr_in from{};
      socklen_t size = sizeof from;
      auto* generic = reinterpret_cast<sockaddr*>(&from);
      auto count = ::recvfrom(socket_, question.data(), question.size(), 0, generic, &size);
      if (count <= 0)
        continue;
      question.resize(static_cast<std::size_t>(count));
      auto answer = reply_(std::move(question));
      if (!answer.empty())
        ::sendto(socket_, answer.data(), answer.size(), 0, generic, size);
    }
  }

  int socket_;
  std::function<packet(packet)> reply_;
  std::atomic<bool> stopped_{false};
  std::thread thread_;
};

} // namespace fly::test
