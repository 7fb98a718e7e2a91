// Proves the outbox between threads and the owner of a socket: order, one wake for many frames, the
// bound on what is unsent, and the end.
#include "fly/cluster/channel.hpp"

#include <atomic>
#include <string>
#include <thread>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/cluster/wire.hpp"

using namespace fly::cluster;
using fly::errc;

namespace {

constexpr auto kind = frame_kind::first_user;

/// A channel whose wakes are counted.
struct counted {
  explicit counted(channel_limits limits = {.frame_bytes_max = 100, .unsent_bytes_max = 300})
      : it{{.id = "peer"}, limits, [this] { ++wakes; }} {}

  caf::error send(std::size_t bytes) { return it.send(kind, bytes_of(std::string(bytes, 'x'))); }

  std::size_t take() {
    std::vector<char> out;
    it.take(out);
    return out.size();
  }

  std::atomic<int> wakes{0};
  channel it;
};

} // namespace

TEST_CASE("many frames wake the owner once, until it has taken them") {
  counted one;
  for (int i = 0; i < 5; ++i)
    CHECK_FALSE(one.send(1));
  CHECK(one.wakes == 1);

  CHECK(one.take() == 5 * (frame_head_bytes + 1));
  CHECK_FALSE(one.send(1));

  CHECK(one.wakes == 2);
}

TEST_CASE("head and body are one frame, in the order of the calls") {
  counted one;
  one.it.send(kind, bytes_of("ab"), bytes_of("cd"));
  one.it.send(kind, {}, bytes_of("e"));
  std::vector<char> out{'!'};

  one.it.take(out);

  CHECK(std::string{out.begin(), out.end()} == std::string("!\0\0\0\5\x10"
                                                           "abcd\0\0\0\2\x10"
                                                           "e",
                                                           16));
}

TEST_CASE("the bound counts what was taken until the socket has it") {
  counted one;
  CHECK_FALSE(one.send(95)); // 100 bytes
  CHECK_FALSE(one.send(95));
  CHECK(one.take() == 200);
  CHECK(one.it.unsent_bytes() == 200);
  CHECK_FALSE(one.send(94));
  CHECK(one.it.unsent_bytes() == 299);

  auto refused = one.send(1);
  REQUIRE(refused);
  CHECK(refused == errc::overloaded);
  CHECK(fly::text_of(refused).find("299") != std::string::npos);
  one.it.in_flight(150);
  CHECK_FALSE(one.send(1));

  one.take();
  one.it.in_flight(0);
  CHECK(one.it.unsent_bytes() == 0);
}

TEST_CASE("an idle channel takes a frame beyond the bound, so that it can be sent at all") {
  counted one{{.frame_bytes_max = 1000, .unsent_bytes_max = 10}};

  CHECK_FALSE(one.send(900));
  CHECK(one.send(1) == errc::overloaded);
}

TEST_CASE("a heartbeat on its way does not keep a frame beyond the bound from being sent") {
  counted one{{.frame_bytes_max = 1000, .unsent_bytes_max = 320}};
  one.it.send_always(frame_kind::beat, bytes_of(std::string(15, 'b'))); // 20 bytes, a sixteenth

  CHECK_FALSE(one.send(900));
  one.it.in_flight(0);
  one.take();
  one.it.in_flight(21);
  CHECK(one.send(900) == errc::overloaded);
}

TEST_CASE("heartbeats pass beyond the bound") {
  counted one;
  for (int i = 0; i < 4; ++i)
    one.send(90);
  REQUIRE(one.send(90) == errc::overloaded);

  CHECK_FALSE(one.it.send_always(frame_kind::beat, bytes_of("beat")));
}

TEST_CASE("a frame of the longest size passes, one byte more is refused") {
  counted one;

  CHECK_FALSE(one.send(99)); // and the kind
  CHECK(one.send(100) == errc::frame_too_large);
  CHECK(one.it.send(kind, bytes_of(std::string(50, 'x')), bytes_of(std::string(50, 'x'))) ==
        errc::frame_too_large);
  CHECK(one.it.send_always(kind, bytes_of(std::string(100, 'x'))) == errc::frame_too_large);
  CHECK(one.it.unsent_bytes() == 104);
}

TEST_CASE("a closed channel drops what waits and refuses the rest") {
  counted one;
  one.send(10);
  one.it.close();
  one.it.close();
  one.it.in_flight(50); // a late word of the socket

  CHECK_FALSE(one.it.is_open());
  CHECK(one.it.unsent_bytes() == 0);
  CHECK(one.send(1) == errc::no_such_member);
  CHECK(one.take() == 0);
  CHECK(one.wakes == 1);
}

TEST_CASE("what many threads send is taken whole, each thread's in its order") {
  counted one{{.frame_bytes_max = 100, .unsent_bytes_max = 100'000'000}};
  std::vector<std::thread> senders;
  std::atomic<int> running{4};
  for (int t = 0; t < 4; ++t)
    senders.emplace_back([&, t] {
      for (int i = 0; i < 5000; ++i)
        one.it.send(kind, bytes_of(std::to_string(t * 10'000 + i)));
      --running;
    });
  std::vector<char> all;
  while (running > 0 || one.it.unsent_bytes() > 0) {
    one.it.take(all);
    one.it.in_flight(0);
  }
  for (auto& sender : senders)
    sender.join();

  frame_parser parser{100};
  parser.feed(bytes_of(all));
  std::vector<int> next(4, 0);
  int count = 0;
  for (auto got = parser.next(); got && *got; got = parser.next(), ++count) {
    auto text = reinterpret_cast<const char*>((*got)->payload.data());
    auto number = std::stoi(std::string{text, (*got)->payload.size()});
    CHECK(number % 10'000 == next[static_cast<std::size_t>(number / 10'000)]++);
  }
  CHECK(count == 20'000);
}
