// Proves that a delay proxy delays by what it says, keeps bytes and order, passes ends as ends, is
// bounded, and can be cut in one direction and healed.
#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apps/local/delay_line.hpp"
#include "apps/local/delay_proxy.hpp"
#include "tests/support/eventually.hpp"

using namespace std::chrono_literals;
using fly::local::delay_line;
using fly::local::delay_proxy;
using fly::local::direction;
using fly::local::ending;
using fly::test::eventually;

namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_port = htons(port);
  result.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return result;
}

/// One end of a connection, with blocking calls.
class end_point {
public:
  explicit end_point(int descriptor) : descriptor_(descriptor) { REQUIRE(descriptor >= 0); }
  end_point(end_point&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  ~end_point() { close(); }

  static end_point dial(std::uint16_t port, const char* from = "127.0.0.1") {
    end_point result{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    auto source = loopback(0);
    ::inet_pton(AF_INET, from, &source.sin_addr);
    REQUIRE(::bind(result.descriptor_, reinterpret_cast<sockaddr*>(&source), sizeof(source)) == 0);
    auto where = loopback(port);
    REQUIRE(::connect(result.descriptor_, reinterpret_cast<sockaddr*>(&where), sizeof(where)) == 0);
    return result;
  }

  void send(std::string_view bytes) const {
    while (!bytes.empty()) {
      auto count = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      REQUIRE(count > 0);
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
  }

  /// Sends until the other side takes no more for 200 ms; returns how many bytes went.
  std::size_t send_until_stuck(std::size_t most) const {
    std::string bytes(64 * 1024, 'x');
    std::size_t result = 0;
    pollfd wait{descriptor_, POLLOUT, 0};
    while (result<most&& ::poll(&wait, 1, 200)> 0)
      result += static_cast<std::size_t>(std::max<ssize_t>(
          0, ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT)));
    return result;
  }

  /// Reads `count` bytes, fewer where the other side ends.
  std::string read(std::size_t count) const {
    std::string result(count, '\0');
    auto got = ::recv(descriptor_, result.data(), count, MSG_WAITALL);
    result.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return result;
  }

  /// Returns what recv says after the last byte: 0 for an end in order, else the error.
  int end_of_read() const {
    char byte = 0;
    return ::recv(descriptor_, &byte, 1, 0) < 0 ? errno : 0;
  }

  bool readable(std::chrono::milliseconds within) const {
    pollfd wait{descriptor_, POLLIN, 0};
    return ::poll(&wait, 1, static_cast<int>(within.count())) > 0;
  }

  void end_sending() const { ::shutdown(descriptor_, SHUT_WR); }

  void reset() {
    linger hard{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    close();
  }

  void close() {
    if (descriptor_ >= 0)
      ::close(std::exchange(descriptor_, -1));
  }

private:
  int descriptor_;
};

/// A server that the test itself plays.
class target {
public:
  target() : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    auto where = loopback(0);
    socklen_t size = sizeof(where);
    REQUIRE(::bind(descriptor_, reinterpret_cast<sockaddr*>(&where), size) == 0);
    REQUIRE(::listen(descriptor_, 100) == 0);
    ::getsockname(descriptor_, reinterpret_cast<sockaddr*>(&where), &size);
    port_ = ntohs(where.sin_port);
  }
  ~target() { ::close(descriptor_); }

  end_point accept() const { return end_point{::accept(descriptor_, nullptr, nullptr)}; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  bool waits(std::chrono::milliseconds within) const {
    pollfd wait{descriptor_, POLLIN, 0};
    return ::poll(&wait, 1, static_cast<int>(within.count())) > 0;
  }

private:
  int descriptor_;
  std::uint16_t port_ = 0;
};

std::string pattern(std::size_t count) {
  std::string result(count, '\0');
  for (std::size_t i = 0; i < count; ++i)
    result[i] = static_cast<char>(i * 7 + i / 251);
  return result;
}

auto now() {
  return std::chrono::steady_clock::now();
}

std::string text(std::span<const char> bytes) {
  return {bytes.begin(), bytes.end()};
}

} // namespace

TEST_CASE("a delay line gives bytes back in order when they are due, and the end last") {
  delay_line line{10};
  delay_line::time_point start{};

  line.push(std::string_view{"abc"}, start + 10ms);
  line.push(std::string_view{"de"}, start + 5ms); // the delay became shorter: no overtaking
  line.end(ending::half_close, start + 5ms);
  line.end(ending::reset, start);

  CHECK(line.bytes() == 5);
  CHECK(line.next() == start + 10ms);
  CHECK(line.ready(start + 9ms).empty());
  CHECK(text(line.ready(start + 10ms)) == "abc");
  line.pop(1);
  CHECK(text(line.ready(start + 10ms)) == "bc");
  line.pop(2);
  CHECK(text(line.ready(start + 10ms)) == "de");
  CHECK_FALSE(line.ended(start + 10ms));
  line.pop(2);
  CHECK(line.bytes() == 0);
  CHECK_FALSE(line.ended(start + 9ms));
  CHECK(line.ended(start + 10ms) == ending::half_close);
}

TEST_CASE("a delay line takes until it is full, and nothing after an end") {
  delay_line line{4};
  CHECK(line.takes());
  line.push(std::string_view{"abc"}, {});
  CHECK(line.takes());
  line.push(std::string_view{"d"}, {});
  CHECK_FALSE(line.takes());
  line.pop(1);
  CHECK(line.takes());
  line.end(ending::reset, {});
  CHECK_FALSE(line.takes());
}

TEST_CASE("a round trip takes at least twice the delay, and not much more") {
  target server;
  delay_proxy proxy{{.target = server.address(), .delay = 60ms}};
  auto client = end_point::dial(proxy.port());
  auto served = server.accept();

  for (int i = 0; i < 3; ++i) {
    auto began = now();
    client.send("ping");
    CHECK(served.read(4) == "ping");
    auto there = now() - began;
    served.send("pong");
    CHECK(client.read(4) == "pong");
    auto both = now() - began;

    CHECK(there >= 60ms);
    CHECK(both >= 120ms);
    CHECK(both < 1s);
  }
}

TEST_CASE(
    "8 MiB each way pass whole and in order, and wait for the delay once, not for each piece") {
  target server;
  delay_proxy proxy{{.target = server.address(), .delay = 50ms}};
  auto client = end_point::dial(proxy.port());
  auto served = server.accept();
  auto sent = pattern(8 * 1024 * 1024);

  auto began = now();
  std::thread up{[&] { client.send(sent); }};
  std::thread down{[&] { served.send(sent); }};
  std::string back;
  std::thread reader{[&] { back = client.read(sent.size()); }};
  auto arrived = served.read(sent.size());
  up.join();
  down.join();
  reader.join();

  CHECK(now() - began >= 50ms);
  CHECK(now() - began < 5s);
  CHECK((arrived == sent)); // not printed
  CHECK((back == sent));
}

TEST_CASE("the end of one direction passes, late, and the other one goes on") {
  target server;
  delay_proxy proxy{{.target = server.address(), .delay = 40ms}};
  auto client = end_point::dial(proxy.port());
  auto served = server.accept();

  auto began = now();
  client.send("last words");
  client.end_sending();
  CHECK(served.read(100) == "last words");
  CHECK(now() - began >= 40ms);
  served.send("answer");
  CHECK(client.read(6) == "answer");
  CHECK(proxy.connections() == 1);
  served.close();

  CHECK(client.end_of_read() == 0);
  CHECK(eventually([&] { return proxy.connections() == 0; }));
}

TEST_CASE("a reset passes as a reset") {
  target server;
  delay_proxy proxy{{.target = server.address(), .delay = 20ms}};
  auto client = end_point::dial(proxy.port());
  auto served = server.accept();
  client.send("x");
  REQUIRE(served.read(1) == "x");

  served.reset();

  CHECK(client.end_of_read() == ECONNRESET);
  CHECK(eventually([&] { return proxy.connections() == 0; }));
}

TEST_CASE("a target that cannot be reached resets the client") {
  std::string nobody = target{}.address();
  delay_proxy proxy{{.target = nobody, .delay = 20ms}};

  auto client = end_point::dial(proxy.port());

  CHECK(client.end_of_read() == ECONNRESET);
}

TEST_CASE("a direction that is cut holds everything until it is healed") {
  target server;
  delay_proxy proxy{{.target = server.address(), .delay = 5ms}};
  auto client = end_point::dial(proxy.port());
  auto served = server.accept();

  proxy.cut(direction::to_target);
  client.send("held");
  served.send("passes");
  CHECK(client.read(6) == "passes");
  CHECK_FALSE(served.readable(150ms));
  auto second = end_point::dial(proxy.port()); // not even its connection gets through
  CHECK_FALSE(server.waits(100ms));
  proxy.heal(direction::to_target);
  CHECK(served.read(4) == "held");
  CHECK(server.waits(2s));

  proxy.cut(direction::to_client);
  served.send("late");
  served.end_sending();
  CHECK_FALSE(client.readable(150ms));
  proxy.heal(direction::to_client);
  CHECK(client.read(4) == "late");
  CHECK(client.end_of_read() == 0);
}

TEST_CASE("each client has rules of its own, and all others share theirs") {
  target server;
  delay_proxy proxy{{.target = server.address(), .clients = {"127.0.0.2", "127.0.0.3"}}};
  auto cut_off = end_point::dial(proxy.port(), "127.0.0.2");
  auto cut_off_served = server.accept();
  auto late = end_point::dial(proxy.port(), "127.0.0.3");
  auto late_served = server.accept();
  auto other = end_point::dial(proxy.port(), "127.0.0.4");
  auto other_served = server.accept();

  proxy.rules(0, {.cut = {true, false}});
  proxy.rules(1, {.delay = 700ms});
  auto began = now();
  for (const auto* it : {&cut_off, &late, &other})
    it->send("x");

  CHECK(other_served.read(1) == "x");
  CHECK(now() - began < 700ms);
  CHECK(late_served.read(1) == "x");
  CHECK(now() - began >= 700ms);
  CHECK_FALSE(cut_off_served.readable(100ms));
  proxy.rules(2, {.cut = {true, false}});
  other.send("y");
  proxy.rules(0, {});
  CHECK(cut_off_served.read(1) == "x");
  CHECK_FALSE(other_served.readable(100ms));
}

TEST_CASE("what waits in a direction that is cut is bounded") {
  target server;
  delay_proxy proxy{{.target = server.address(), .bytes_max = 256 * 1024}};
  auto client = end_point::dial(proxy.port());
  auto served = server.accept();
  proxy.cut(direction::to_target);

  auto sent = client.send_until_stuck(64 * 1024 * 1024);

  CHECK(sent < 16 * 1024 * 1024); // the bound and the kernel's own buffers
  proxy.heal(direction::to_target);
  client.end_sending();
  CHECK(served.read(sent + 1).size() == sent);
}

TEST_CASE("100 connections at once are each served") {
  target server;
  delay_proxy proxy{{.target = server.address(), .delay = 30ms}};
  std::vector<end_point> clients;
  std::vector<end_point> served;
  for (int i = 0; i < 100; ++i)
    clients.push_back(end_point::dial(proxy.port()));
  for (int i = 0; i < 100; ++i)
    served.push_back(server.accept());
  CHECK(proxy.connections() == 100);

  auto began = now();
  for (const auto& it : served)
    it.send("hi");
  for (const auto& it : clients)
    CHECK(it.read(2) == "hi");

  CHECK(now() - began < 2s); // together, not one after the other
}

TEST_CASE("connections beyond the bound wait for a free place") {
  target server;
  delay_proxy proxy{{.target = server.address(), .connections_max = 1}};
  auto first = end_point::dial(proxy.port());
  auto served = server.accept();
  auto second = end_point::dial(proxy.port());
  CHECK_FALSE(server.waits(100ms));

  first.close();
  served.close();

  CHECK(server.waits(2s));
}

TEST_CASE("the end of a proxy resets its connections and frees its port") {
  target server;
  auto proxy = std::make_unique<delay_proxy>(
      fly::local::delay_proxy_options{.target = server.address(), .delay = 10s});
  auto client = end_point::dial(proxy->port());
  client.send("under way for long");
  auto address = proxy->address();

  auto began = now();
  proxy.reset();

  CHECK(now() - began < 5s); // of the 10 s that it holds back
  CHECK(client.end_of_read() == ECONNRESET);
  CHECK_NOTHROW(delay_proxy{{.listen = address, .target = server.address()}});
}

TEST_CASE("an address that cannot be used is named") {
  CHECK_THROWS_WITH(delay_proxy{{.target = "name:1"}}, doctest::Contains("name:1"));
  CHECK_THROWS_WITH(delay_proxy{{.target = "127.0.0.1"}}, doctest::Contains("127.0.0.1"));
  CHECK_THROWS_WITH((delay_proxy{{.listen = "192.0.2.1:1", .target = "127.0.0.1:1"}}),
                    doctest::Contains("192.0.2.1:1"));
}
