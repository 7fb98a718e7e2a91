// Proves what a channel with a line does: sends at once, together where it is held, in order where
// the line is full; and, many threads and a small socket at a time, that nothing is lost, doubled
// or overtaken. Run under the thread sanitizer, too (tests/run --tsan).
#include "fly/cluster/channel.hpp"

#include <atomic>
#include <deque>
#include <string>
#include <thread>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/cluster/tcp.hpp"
#include "fly/cluster/wire.hpp"
#include "tests/support/eventually.hpp"

using namespace fly::cluster;
using fly::errc;

namespace {

constexpr auto kind = frame_kind::first_user;

/// What a line was given, in how many sends, and how much more it takes.
struct log_of_line {
  std::string bytes;
  int sends = 0;
  std::size_t room = 1'000'000;
  bool closed = false;
};

struct fake_line : line {
  explicit fake_line(log_of_line& it) : it(it) {}
  ~fake_line() override { it.closed = true; }
  std::size_t send(std::span<const char> bytes, std::span<const char> more) noexcept override {
    ++it.sends;
    return take(bytes) + take(more);
  }
  std::size_t take(std::span<const char> bytes) noexcept {
    auto taken = std::min(bytes.size(), it.room);
    it.room -= taken;
    it.bytes.append(bytes.data(), taken);
    return taken;
  }
  log_of_line& it;
};

std::string frames(std::initializer_list<const char*> payloads) {
  std::vector<char> out;
  for (const auto* each : payloads)
    append_frame(out, kind, bytes_of(std::string_view{each}));
  return {out.begin(), out.end()};
}

constexpr channel_limits small{.frame_bytes_max = 100, .unsent_bytes_max = 300};

struct lined {
  explicit lined(std::size_t in_flight = 0, channel_limits limits = small)
      : it{{.id = "peer"}, limits, [this] { ++wakes; }} {
    it.connect(std::make_unique<fake_line>(out), in_flight);
  }

  caf::error send(std::string_view text, urgency when = urgency::now) {
    return it.send(kind, bytes_of(text), {}, when);
  }

  std::string take() {
    std::vector<char> taken;
    it.take(taken);
    return {taken.begin(), taken.end()};
  }

  log_of_line out;
  int wakes = 0;
  channel it;
};

} // namespace

TEST_CASE("a frame is in the line when send returns, and nobody is woken") {
  lined one;

  CHECK_FALSE(one.send("a"));

  CHECK(one.out.bytes == frames({"a"}));
  CHECK(one.it.unsent_bytes() == 0);
  CHECK(one.wakes == 0);
}

TEST_CASE("what is sent during a hold leaves with one send at its end") {
  lined one;
  one.it.hold();
  one.send("a");
  one.send("b", urgency::soon);
  CHECK(one.out.sends == 0);

  CHECK_FALSE(one.it.flush());

  CHECK(one.out.bytes == frames({"a", "b"}));
  CHECK(one.out.sends == 1);
  CHECK(one.wakes == 0);
  one.send("c");
  CHECK(one.out.sends == 2);
}

TEST_CASE("what may wait wakes the owner once, and leaves with what may not") {
  lined one;
  one.send("a", urgency::soon);
  one.send("b", urgency::soon);
  CHECK(one.out.sends == 0);
  CHECK(one.wakes == 1);

  one.send("c");

  CHECK(one.out.bytes == frames({"a", "b", "c"}));
  CHECK_FALSE(one.it.flush()); // the owner comes too late
  CHECK(one.out.sends == 1);
}

TEST_CASE("the rest of a full line goes through the owner, and nothing overtakes it") {
  lined one;
  one.out.room = 8; // a frame of one character takes 6
  one.send("a");
  one.send("b");
  one.send("c");
  CHECK(one.out.bytes == frames({"a", "b"}).substr(0, 8));
  CHECK(one.wakes == 1);
  one.out.room = 100;
  CHECK(one.it.unsent_bytes() == 10);

  CHECK(one.it.flush());
  CHECK(one.take() == frames({"a", "b", "c"}).substr(8));
  one.send("d"); // the owner's bytes are not gone yet
  one.it.in_flight(3);
  CHECK(one.out.sends == 2);
  CHECK(one.wakes == 2);
  one.it.in_flight(0);
  CHECK_FALSE(one.it.flush());

  CHECK(one.out.bytes == frames({"a", "b"}).substr(0, 8) + frames({"d"}));
}

TEST_CASE("the line waits for the bytes that were written before it") {
  lined one{7};
  one.send("a");
  CHECK(one.out.sends == 0);
  CHECK(one.wakes == 1);

  CHECK(one.it.flush());
  one.it.in_flight(0);
  one.send("b");

  CHECK(one.out.bytes == frames({"a", "b"}));
}

TEST_CASE("a line that takes nothing costs the bound") {
  lined one;
  one.out.room = 0;
  for (int i = 0; i < 3; ++i)
    CHECK_FALSE(one.send(std::string(90, 'x')));

  CHECK(one.send(std::string(90, 'x')) == errc::overloaded);
  CHECK(one.it.unsent_bytes() == 285);
}

TEST_CASE("after the last frame nothing is taken any more") {
  lined one;
  one.send("a", urgency::soon);

  CHECK_FALSE(one.it.finish(frame_kind::goodbye));

  CHECK(one.out.bytes == frames({"a"}) + std::string("\0\0\0\1\7", 5));
  CHECK_FALSE(one.it.is_open());
  CHECK(one.send("b") == errc::no_such_member);
  CHECK_FALSE(one.it.finish(frame_kind::goodbye));
  CHECK(one.out.sends == 1);
}

TEST_CASE("a large frame leaves uncopied, and what the line did not take of it comes first") {
  std::string large(10'000, 'z');
  for (std::size_t room : {0, 3, 6, 7, 5'000, 10'006}) {
    CAPTURE(room);
    lined one{0, {.frame_bytes_max = 20'000, .unsent_bytes_max = 100'000}};
    one.out.room = room;
    std::vector<char> whole;
    append_frame(whole, kind, bytes_of("h"), bytes_of(large));
    append_frame(whole, kind, bytes_of("b"));

    CHECK_FALSE(one.it.send(kind, bytes_of("h"), bytes_of(large)));
    CHECK_FALSE(one.send("b"));

    CHECK(one.it.unsent_bytes() == whole.size() - room);
    CHECK(one.out.bytes + one.take() == std::string{whole.begin(), whole.end()});
  }
}

TEST_CASE("the line ends with the channel") {
  lined one;
  CHECK_FALSE(one.out.closed);
  one.it.close();
  CHECK(one.out.closed);
}

namespace {

/// Short bodies, and now and then one that leaves uncopied.
std::size_t size_of(int number) {
  return static_cast<std::size_t>(number % 40 == 0 ? 10'000 : number % 200);
}

/// A channel into a socket that takes little, and its owner on a thread of its own, as the I/O
/// thread is: drains when woken, writes what the line did not take, holds now and then.
class small_socket {
public:
  small_socket() {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    int size = 4096;
    ::setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    near_ = socket_owner{ends[0]};
    far_ = socket_owner{ends[1]};
    to.connect(line_into(near_.descriptor()), 0);
    owner_ = std::thread{[this] { own(); }};
  }

  ~small_socket() { stop(); }

  void stop() {
    ending_ = true;
    if (owner_.joinable())
      owner_.join();
  }

  /// Returns what has come, waiting for at most 10 ms; empty where nothing has.
  std::string read() const {
    pollfd polled{far_.descriptor(), POLLIN, 0};
    ::poll(&polled, 1, 10);
    std::string buffer(64 * 1024, '\0');
    auto got = ::recv(far_.descriptor(), buffer.data(), buffer.size(), 0);
    buffer.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return buffer;
  }

private:
  void own() {
    std::vector<char> rest;
    for (unsigned turn = 0; !ending_; ++turn) {
      if (turn % 64 == 0)
        to.hold();
      std::this_thread::yield();
      bool is_held = turn % 64 == 0;
      if ((is_held || woken_.exchange(false)) && to.flush())
        to.take(rest);
      if (rest.empty())
        continue;
      auto sent = ::send(near_.descriptor(), rest.data(), rest.size(), MSG_NOSIGNAL);
      if (sent <= 0)
        continue;
      rest.erase(rest.begin(), rest.begin() + sent);
      to.in_flight(rest.size());
      if (rest.empty() && to.flush()) // what came meanwhile
        to.take(rest);
    }
  }

  socket_owner near_;
  socket_owner far_;
  std::atomic<bool> woken_{false};
  std::atomic<bool> ending_{false};
  std::thread owner_;

public:
  channel to{{.id = "peer"}, {.frame_bytes_max = 16'384, .unsent_bytes_max = 64 * 1024}, [this] {
               woken_ = true;
             }};
};

} // namespace

TEST_CASE(
    "frames of many threads arrive whole, once, in each one's order, through a small socket") {
  constexpr int threads = 4;
  constexpr int each = 10'000;
  small_socket it;
  std::vector<std::thread> senders;
  for (int t = 0; t < threads; ++t)
    senders.emplace_back([&it, t] {
      for (int i = 0; i < each; ++i) {
        auto head = std::to_string(t * each + i) + " ";
        auto when = i % 3 == 0 ? urgency::soon : urgency::now;
        std::string body(size_of(i), 'x');
        while (auto refused = it.to.send(kind, bytes_of(head), bytes_of(body), when)) {
          if (refused == errc::no_such_member)
            return;
          std::this_thread::yield(); // at the bound: again
        }
      }
    });

  frame_parser parser{16'384};
  std::vector<int> next(threads, 0);
  int count = 0;
  bool right = true;
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{60};
  while (count < threads * each && right && std::chrono::steady_clock::now() < deadline) {
    auto bytes = it.read();
    parser.feed(bytes_of(bytes));
    for (auto got = parser.next(); got && *got; got = parser.next(), ++count) {
      const auto* text = reinterpret_cast<const char*>((*got)->payload.data());
      std::string payload{text, (*got)->payload.size()};
      auto number = std::stoi(payload);
      auto& expected = next[static_cast<std::size_t>(number / each)];
      auto size = payload.find(' ') + 1 + size_of(number % each);
      right = right && number % each == expected++ && payload.size() == size;
    }
  }
  if (count < threads * each)
    it.to.close();
  for (auto& sender : senders)
    sender.join();

  it.stop(); // the owner has said what it sent
  CHECK(right);
  CHECK(count == threads * each);
  // The bytes are here before their sender has said so.
  CHECK(fly::test::eventually([&] { return it.to.unsent_bytes() == 0; }));
}

TEST_CASE("a channel may be closed while threads send") {
  for (int round = 0; round < 20; ++round) {
    small_socket it;
    std::atomic<int> sent{0};
    std::vector<std::thread> senders;
    for (int t = 0; t < 3; ++t)
      senders.emplace_back([&it, &sent] {
        for (;;) {
          auto refused = it.to.send(kind, bytes_of("payload"));
          if (refused == errc::no_such_member)
            return;
          ++sent;
        }
      });
    while (sent < 100 * (round + 1))
      it.read();

    if (round % 2 == 0)
      it.to.finish(frame_kind::goodbye);
    it.to.close();

    for (auto& sender : senders)
      sender.join();
    it.stop(); // the owner sends, too, and ends what it is at
    CHECK(it.to.unsent_bytes() == 0);
  }
}
