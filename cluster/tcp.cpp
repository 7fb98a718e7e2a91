#include "fly/cluster/tcp.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <system_error>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fly/actors/error.hpp"

namespace fly::cluster {

namespace {

struct raw_address {
  sockaddr_storage storage{};
  socklen_t length = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

std::optional<raw_address> raw(const socket_address& where) {
  raw_address result;
  auto& four = reinterpret_cast<sockaddr_in&>(result.storage);
  if (inet_pton(AF_INET, where.host.c_str(), &four.sin_addr) == 1) {
    four.sin_family = AF_INET;
    four.sin_port = htons(where.port);
    result.length = sizeof(sockaddr_in);
    return result;
  }
  auto& six = reinterpret_cast<sockaddr_in6&>(result.storage);
  if (inet_pton(AF_INET6, where.host.c_str(), &six.sin6_addr) != 1)
    return std::nullopt;
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(where.port);
  result.length = sizeof(sockaddr_in6);
  return result;
}

caf::error cannot_listen(const socket_address& where, int problem) {
  auto text =
      "cannot listen on " + to_string(where) + ": " + std::generic_category().message(problem);
  if (problem == EADDRINUSE)
    text += " (another process has the port; name another address or port with --listen)";
  return make_error(errc::cannot_listen, text);
}

/// Without it all of loopback is dialled from 127.0.0.1, and nobody can tell who dials.
void leave_from(const socket_owner& socket, const socket_address& where,
                const std::string& source) {
  auto address = raw({source, 0});
  if (!address || reach_of(source) != reach::loopback || reach_of(where.host) != reach::loopback)
    return;
  int on = 1; // the port is chosen with the connection, among all that are free for this target
  ::setsockopt(socket.descriptor(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
  // Of the other family it is refused, and nothing has changed.
  [[maybe_unused]] auto bound = ::bind(socket.descriptor(), address->get(), address->length);
}

} // namespace

socket_owner::~socket_owner() {
  if (descriptor_ >= 0)
    ::close(descriptor_);
}

caf::expected<socket_owner> bind_tcp(const socket_address& where) {
  auto address = raw(where);
  if (!address)
    return cannot_listen(where, EINVAL);
  socket_owner result{::socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  int on = 1; // a restart must not wait for the old connections to time out
  if (result.descriptor() < 0 ||
      ::setsockopt(result.descriptor(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
      ::bind(result.descriptor(), address->get(), address->length) != 0)
    return cannot_listen(where, errno);
  return result;
}

caf::error listen_tcp(const socket_owner& bound, const socket_address& where) {
  if (::listen(bound.descriptor(), SOMAXCONN) != 0)
    return cannot_listen(where, errno);
  return {};
}

socket_address local_address(const socket_owner& bound, const socket_address& fallback) {
  sockaddr_storage storage{};
  socklen_t length = sizeof(storage);
  if (::getsockname(bound.descriptor(), reinterpret_cast<sockaddr*>(&storage), &length) != 0)
    return fallback;
  auto port = storage.ss_family == AF_INET ? reinterpret_cast<sockaddr_in&>(storage).sin_port
                                           : reinterpret_cast<sockaddr_in6&>(storage).sin6_port;
  return {fallback.host, ntohs(port)};
}

caf::expected<socket_owner> start_connect(const socket_address& where, const std::string& source) {
  auto address = raw(where);
  if (!address)
    return make_error(errc::invalid_argument, to_string(where) + " is not a numeric address");
  socket_owner result{
      ::socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (result.descriptor() < 0)
    return make_error(errc::overloaded, "no socket: " + std::generic_category().message(errno));
  leave_from(result, where, source);
  if (::connect(result.descriptor(), address->get(), address->length) != 0 && errno != EINPROGRESS)
    return make_error(errc::no_such_member, "cannot connect to " + to_string(where) + ": " +
                                                std::generic_category().message(errno));
  return result;
}

} // namespace fly::cluster
