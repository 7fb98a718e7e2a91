#include "fly/cluster/address.hpp"

#include <array>
#include <charconv>
#include <optional>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "fly/actors/error.hpp"

namespace fly::cluster {

namespace {

caf::error malformed(std::string_view text, const char* why) {
  return make_error(errc::invalid_argument, "'" + std::string{text} + "' is not host:port: " + why);
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (problem != std::errc{} || end != text.data() + text.size())
    return std::nullopt;
  return port;
}

template <class Address>
std::optional<std::string> canonical(int family, const std::string& host) {
  Address parsed{};
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (inet_pton(family, host.c_str(), &parsed) != 1 ||
      inet_ntop(family, &parsed, text.data(), text.size()) == nullptr)
    return std::nullopt;
  return std::string{text.data()};
}

std::optional<std::string> canonical(const std::string& host) {
  if (auto four = canonical<in_addr>(AF_INET, host))
    return four;
  return canonical<in6_addr>(AF_INET6, host);
}

bool is_name(std::string_view host) {
  for (char c : host) {
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!letter && c != '-' && c != '.' && c != '_')
      return false;
  }
  return !host.empty() && host.size() <= 253;
}

} // namespace

std::string to_string(const socket_address& where) {
  bool six = where.host.find(':') != std::string::npos;
  return (six ? "[" + where.host + "]" : where.host) + ":" + std::to_string(where.port);
}

caf::expected<socket_address> parse_socket_address(std::string_view text, std::uint16_t port) {
  auto host = text;
  std::string_view port_text;
  bool bracketed = text.starts_with('[');
  if (bracketed) {
    auto close = text.find(']');
    if (close == std::string_view::npos)
      return malformed(text, "']' is missing");
    host = text.substr(1, close - 1);
    port_text = text.substr(close + 1);
  } else if (auto colon = text.find(':');
             colon != std::string_view::npos && colon == text.rfind(':')) {
    host = text.substr(0, colon);
    port_text = text.substr(colon);
  }
  if (!port_text.empty()) {
    auto parsed = port_text.front() == ':' ? parse_port(port_text.substr(1)) : std::nullopt;
    if (!parsed)
      return malformed(text, "the port is not a number from 0 to 65535");
    port = *parsed;
  }
  socket_address result{std::string{host}, port};
  if (auto number = canonical(result.host)) {
    if (bracketed && number->find(':') == std::string::npos)
      return malformed(text, "brackets are for IPv6 addresses");
    result.host = *number;
  } else if (bracketed || !is_name(result.host)) {
    return malformed(text, "the host is neither a name nor an address");
  }
  return result;
}

reach reach_of(const std::string& host) {
  in_addr four{};
  if (inet_pton(AF_INET, host.c_str(), &four) == 1)
    return (ntohl(four.s_addr) >> 24) == 127 ? reach::loopback : reach::other;
  in6_addr six{};
  if (inet_pton(AF_INET6, host.c_str(), &six) != 1)
    return reach::name;
  if (IN6_IS_ADDR_LOOPBACK(&six))
    return reach::loopback;
  return six.s6_addr[0] == 0xfd && six.s6_addr[1] == 0xaa ? reach::sixpn : reach::other;
}

caf::error check_listen(const socket_address& where, const listen_guards& with) {
  auto refused = [&](const std::string& why) {
    return make_error(errc::invalid_argument, "cannot listen on " + to_string(where) + ": " + why);
  };
  switch (reach_of(where.host)) {
  case reach::loopback:
    return {};
  case reach::sixpn:
    if (with.secret || with.insecure)
      return {};
    return refused("every app of the organisation reaches a 6PN address, so a secret is needed "
                   "(FLY_SECRET or --secret-file)");
  case reach::name:
    return refused("name the address itself, such as 127.0.0.1");
  case reach::other:
    break;
  }
  if ((with.secret && with.tls) || with.insecure)
    return {};
  return refused("anybody may reach an address beyond loopback (127.0.0.0/8, ::1) and 6PN "
                 "(fdaa::/16), so a secret (FLY_SECRET or --secret-file) and TLS (--tls-cert, "
                 "--tls-key, --tls-ca) are needed");
}

} // namespace fly::cluster
