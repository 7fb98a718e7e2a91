#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fly/cluster/address.hpp"
#include "fly/cluster/handshake.hpp"
#include "fly/cluster/wire.hpp"

namespace fly::test {

/// A plain blocking connection to a node.
class stranger {
public:
  explicit stranger(const std::string& address) {
    auto where = *cluster::parse_socket_address(address, 0);
    descriptor_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(where.port);
    inet_pton(AF_INET, where.host.c_str(), &to.sin_addr);
    connected_ = ::connect(descriptor_, reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0;
  }
  ~stranger() { ::close(descriptor_); }
  stranger(const stranger&) = delete;
  stranger& operator=(const stranger&) = delete;

  bool connected() const { return connected_; }
  int descriptor() const { return descriptor_; }

  void send(std::string_view text) const {
    ::send(descriptor_, text.data(), text.size(), MSG_NOSIGNAL);
  }

  /// Returns all that comes until the other side closes, "(open)" where it does not in time.
  std::string read_to_end(std::chrono::milliseconds limit = std::chrono::seconds{3}) const {
    std::string result;
    auto deadline = std::chrono::steady_clock::now() + limit;
    for (;;) {
      auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          deadline - std::chrono::steady_clock::now());
      pollfd polled{descriptor_, POLLIN, 0};
      if (left.count() <= 0 || ::poll(&polled, 1, static_cast<int>(left.count())) <= 0)
        return "(open)";
      char buffer[512];
      auto got = ::recv(descriptor_, buffer, sizeof(buffer), 0);
      if (got <= 0)
        return result;
      result.append(buffer, static_cast<std::size_t>(got));
    }
  }

private:
  int descriptor_ = -1;
  bool connected_ = false;
};

/// A member that is nothing but a socket: it goes through the handshake as a dialler, and then does
/// only what the test says.
class hollow_member {
public:
  hollow_member(const std::string& address, cluster::member self)
      : connection_(address), who_(std::make_shared<const cluster::identity>(cluster::identity{
                                  .self = std::move(self), .cluster = "", .secret = ""})) {
    cluster::handshake talk{cluster::handshake::side::dialler, who_, cluster::random_nonce()};
    send(talk.begin());
    cluster::frame_parser parser{cluster::handshake_bytes_max};
    char buffer[4096];
    for (;;) {
      auto got = ::recv(connection_.descriptor(), buffer, sizeof(buffer), 0);
      if (got <= 0)
        return;
      parser.feed(std::as_bytes(std::span{buffer, static_cast<std::size_t>(got)}));
      for (auto next = parser.next(); next && *next; next = parser.next()) {
        auto step = talk.on_frame(**next);
        if (step.what == cluster::handshake::event::peer_known)
          send(talk.proof_frame());
        if (step.what != cluster::handshake::event::established)
          continue;
        is_up_ = true;
        return;
      }
    }
  }

  /// Returns whether the handshake was completed.
  bool is_up() const { return is_up_; }

  /// Sends one frame.
  void send(cluster::frame_kind kind, std::string_view payload) const {
    std::vector<char> bytes;
    cluster::append_frame(bytes, kind, cluster::bytes_of(payload));
    send(bytes);
  }

  void send(const std::vector<char>& bytes) const {
    connection_.send(std::string_view{bytes.data(), bytes.size()});
  }

  const stranger& connection() const { return connection_; }

private:
  stranger connection_;
  std::shared_ptr<const cluster::identity> who_;
  bool is_up_ = false;
};

} // namespace fly::test
