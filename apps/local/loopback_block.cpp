#include "apps/local/loopback_block.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <vector>

#include <arpa/inet.h>

namespace fly::local {

namespace {

constexpr std::size_t first = 2; // 127.0.0.1 belongs to everybody
constexpr std::size_t first_front = 102;
constexpr std::size_t guard = 254;
constexpr int blocks = 255;

struct listener {
  std::string address; // "127.0.0.2", "0.0.0.0"
  std::uint16_t port;
};

/// Returns all IPv4 sockets that listen (proc(5), /proc/net/tcp: hexadecimal, state 0A).
std::vector<listener> listeners() {
  std::vector<listener> result;
  std::ifstream file{"/proc/net/tcp"};
  std::string line;
  std::getline(file, line); // the headings
  while (std::getline(file, line)) {
    std::istringstream in{line};
    std::string number, local, remote, state;
    in >> number >> local >> remote >> state;
    in_addr raw{};
    std::uint16_t port = 0;
    auto colon = local.find(':');
    if (state != "0A" || colon != 8)
      continue;
    std::from_chars(local.data(), local.data() + 8, raw.s_addr, 16); // in memory order already
    std::from_chars(local.data() + 9, local.data() + local.size(), port, 16);
    char text[INET_ADDRSTRLEN] = {};
    ::inet_ntop(AF_INET, &raw, text, sizeof(text));
    result.push_back({text, port});
  }
  return result;
}

} // namespace

loopback_block::loopback_block(std::size_t regions, std::uint16_t port) {
  for (number_ = 0; number_ < blocks; ++number_) {
    auto claim = cluster::bind_tcp({at(guard), port});
    if (!claim || cluster::listen_tcp(*claim, {at(guard), port}))
      continue;
    auto present = listeners();
    auto is_used = [&](const std::string& address) {
      return std::any_of(present.begin(), present.end(),
                         [&](const listener& it) { return it.address == address; });
    };
    bool free = true;
    for (std::size_t i = 0; i < regions; ++i)
      free = free && !is_used(address(i)) && !is_used(front(i));
    if (!free)
      continue;
    claim_ = std::move(*claim);
    return;
  }
  throw std::runtime_error{"port " + std::to_string(port) +
                           " is taken on every loopback address; name another one with --port"};
}

std::string loopback_block::at(std::size_t last) const {
  return "127.0." + std::to_string(number_) + "." + std::to_string(last);
}

std::string loopback_block::address(std::size_t region) const {
  return at(first + region);
}

std::string loopback_block::front(std::size_t region) const {
  return at(first_front + region);
}

bool is_listened(const std::string& address, std::uint16_t port) {
  auto all = listeners();
  return std::any_of(all.begin(), all.end(), [&](const listener& it) {
    return it.port == port && (it.address == address || it.address == "0.0.0.0");
  });
}

} // namespace fly::local
