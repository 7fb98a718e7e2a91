#include "apps/common/hasty_server.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <optional>
#include <string>

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace fly::apps {

namespace {

using clock = std::chrono::steady_clock;

/// Puts the name of an end of `socket` into `ip` and `port`; `ask` is getpeername or getsockname.
template <class Ask>
void name_end(Ask ask, socket_t socket, std::string& ip, int& port) {
  sockaddr_storage address{};
  auto size = static_cast<socklen_t>(sizeof address);
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> service{};
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (ask(socket, generic, &size) != 0 ||
      ::getnameinfo(generic, size, host.data(), static_cast<socklen_t>(host.size()), service.data(),
                    static_cast<socklen_t>(service.size()), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return;
  ip = host.data();
  port = std::stoi(service.data());
}

/// A socket that may be read until one point in time, and written until another one.
class hasty_stream final : public httplib::Stream {
public:
  hasty_stream(socket_t socket, std::chrono::milliseconds request_max)
      : socket_(socket), request_until_(clock::now() + request_max) {}

  bool is_readable() const override { return wait(POLLIN, request_until_); }
  bool is_writable() const override {
    return wait(POLLOUT, answer_until_.value_or(clock::now() + hasty_server::answer_max));
  }

  ssize_t read(char* bytes, std::size_t size) override {
    if (taken_ == filled_) { // httplib asks for single bytes: take what has come in one go
      if (!is_readable())
        return -1;
      auto count = ::recv(socket_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
      if (count <= 0)
        return count;
      taken_ = 0;
      filled_ = static_cast<std::size_t>(count);
    }
    auto count = std::min(size, filled_ - taken_);
    std::copy_n(buffer_.data() + taken_, count, bytes);
    taken_ += count;
    return static_cast<ssize_t>(count);
  }

  ssize_t write(const char* bytes, std::size_t size) override {
    if (!answer_until_)
      answer_until_ = clock::now() + hasty_server::answer_max;
    for (;;) {
      auto count = ::send(socket_, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (count >= 0 || (errno != EAGAIN && errno != EINTR) || !is_writable())
        return count;
    }
  }

  /// Forgets what has come and was not asked for: a socket that is closed with bytes unread resets
  /// its connection, and the client might lose the answer.
  void drop_rest() {
    for (int i = 0; i < 16 && ::recv(socket_, buffer_.data(), buffer_.size(), MSG_DONTWAIT) > 0;)
      ++i;
  }

  void get_remote_ip_and_port(std::string& ip, int& port) const override {
    name_end(::getpeername, socket_, ip, port);
  }
  void get_local_ip_and_port(std::string& ip, int& port) const override {
    name_end(::getsockname, socket_, ip, port);
  }
  socket_t socket() const override { return socket_; }

private:
  bool wait(short event, clock::time_point until) const {
    for (;;) {
      auto left = std::chrono::ceil<std::chrono::milliseconds>(until - clock::now());
      if (left.count() <= 0)
        return false;
      pollfd one{socket_, event, 0};
      auto ready = ::poll(&one, 1, static_cast<int>(left.count()));
      if (ready >= 0 || errno != EINTR)
        return ready > 0;
    }
  }

  const socket_t socket_;
  const clock::time_point request_until_;
  std::optional<clock::time_point> answer_until_; // unset until an answer begins
  std::array<char, 4096> buffer_{};
  std::size_t taken_ = 0; // <= filled_
  std::size_t filled_ = 0;
};

} // namespace

bool hasty_server::process_and_close_socket(socket_t socket) {
  hasty_stream stream{socket, request_max_};
  // cpp-httplib 0.11 (Debian 12) asks the stream for the names of its ends; 0.18 (Debian 13) wants
  // them told.
  auto serve = [&stream](auto& self) {
    bool closed = false;
    if constexpr (requires { self.process_request(stream, true, closed, nullptr); }) {
      return self.process_request(stream, true, closed, nullptr);
    } else {
      std::string remote;
      std::string local;
      int remote_port = 0;
      int local_port = 0;
      stream.get_remote_ip_and_port(remote, remote_port);
      stream.get_local_ip_and_port(local, local_port);
      return self.process_request(stream, remote, remote_port, local, local_port, true, closed,
                                  nullptr);
    }
  };
  auto served = serve(*this);
  stream.drop_rest();
  ::shutdown(socket, SHUT_RDWR);
  ::close(socket);
  return served;
}

} // namespace fly::apps
