// Proves how threads read their own answers: who is told of what, that nothing is lost, doubled or
// overtaken between a reader and the owner of the socket, and that neither keeps the other waiting.
// Run under the thread sanitizer, too (tests/run --tsan).
#include "fly/cluster/reading_loan.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <poll.h>
#include <sys/socket.h>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/cluster/wire.hpp"
#include "tests/cluster/fake_inlet.hpp"
#include "tests/support/eventually.hpp"

using namespace fly::cluster;
using namespace std::chrono_literals;
using fly::errc;
using fly::test::fake_inlet;
using fly::test::source;

namespace {

constexpr auto kind = frame_kind::first_user;
constexpr std::size_t frame_max = 200'000;

std::string frames(std::initializer_list<std::string> payloads) {
  std::vector<char> out;
  for (const auto& each : payloads)
    append_frame(out, kind, bytes_of(each));
  return {out.begin(), out.end()};
}

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

struct lent {
  lent() { it.lend(std::make_unique<fake_inlet>(from)); }

  /// Reads the frame `wanted`; what was taken is in `got`.
  bool read(const std::string& wanted) {
    return it.read(
        it.begin(), [&](const frame& found) { return text_of(found.payload) == wanted; },
        [&](const frame& found) { got.push_back(text_of(found.payload)); },
        std::chrono::steady_clock::now() + 1s);
  }

  std::string left(bool is_over) {
    auto rest = it.take_turn();
    REQUIRE(rest);
    CHECK(rest->is_over == is_over);
    if (!is_over)
      it.go_on();
    return text_of(rest->bytes);
  }

  source from;
  int wakes = 0;
  std::vector<std::string> got;
  reading_loan it{nullptr, frame_max, [this] { ++wakes; }};
};

} // namespace

TEST_CASE("who wants to read makes the owner lend, once, and again after many others") {
  int wakes = 0;
  reading_loan it{nullptr, frame_max, [&] { ++wakes; }};

  for (int i = 0; i < 10; ++i)
    CHECK_FALSE(it.begin());
  CHECK(wakes == 1);
  CHECK(it.take_wish());
  CHECK_FALSE(it.take_wish());

  for (int i = 0; i < 64; ++i) // it could not be lent
    it.begin();
  CHECK(wakes == 2);
  CHECK(it.take_wish());
}

TEST_CASE("a reader takes its answer, and the owner does not hear of it") {
  lent one;
  one.from.pieces = {frames({"mine"})};
  {
    auto turn = one.it.begin();
    CHECK(turn);
    CHECK_FALSE(one.from.watched);
    CHECK_FALSE(one.it.begin()); // one at a time
    CHECK_FALSE(one.it.take_turn());
  }
  CHECK(one.from.watched); // a turn that was not used

  CHECK(one.read("mine"));

  CHECK(one.got == std::vector<std::string>{"mine"});
  CHECK(one.from.watched);
  CHECK(one.wakes == 0);
  CHECK_FALSE(one.it.is_given_back());
}

TEST_CASE("what a reader does not wait for goes to the owner in order, and the loan goes on") {
  lent one;
  one.from.pieces = {frames({"other", "mine"}), frames({"next"})};

  CHECK_FALSE(one.read("mine"));

  CHECK(one.it.is_given_back());
  CHECK(one.wakes == 1);
  CHECK_FALSE(one.it.begin()); // not before the owner
  CHECK(one.left(false) == frames({"other", "mine", "next"}));
  CHECK(one.from.watched);
  one.from.pieces = {frames({"mine"})};
  CHECK(one.read("mine"));
}

TEST_CASE("what comes behind an answer is the owner's, once the answer was taken") {
  lent one;
  one.from.pieces = {frames({"mine", "other"})};

  CHECK(one.read("mine"));

  CHECK(one.got == std::vector<std::string>{"mine"});
  CHECK(one.wakes == 1);
  CHECK(one.left(false) == frames({"other"}));
}

TEST_CASE("an answer may come in pieces, and be longer than any buffer") {
  lent one;
  std::string large(150'000, 'x');
  auto whole = frames({large});
  for (std::size_t at = 0; at < whole.size(); at += 1'000)
    one.from.pieces.push_back(whole.substr(at, 1'000));
  CHECK(one.read(large));

  one.from.pieces = {frames({"a"}).substr(0, 3), frames({"a"}).substr(3)};
  CHECK(one.read("a"));
  CHECK(one.wakes == 0);
}

TEST_CASE("half a frame ends the loan: the owner reads on") {
  lent one;
  one.from.pieces = {frames({"mine"}).substr(0, 7)};

  CHECK_FALSE(one.read("mine")); // at its deadline

  CHECK(one.left(true) == frames({"mine"}).substr(0, 7));
  CHECK_FALSE(one.from.open);
  CHECK_FALSE(one.it.begin());
}

TEST_CASE("an end, and a length that no frame has, are the owner's") {
  struct left_behind {
    std::string bytes;
    bool ended;
  };
  const std::vector<left_behind> all{{"", true},
                                     {frames({"other"}), true},
                                     {std::string("\0\0\0\0\0", 5), false},
                                     {std::string("\xff\xff\xff\xff\x10", 5), false}};
  for (const auto& each : all) {
    CAPTURE(each.bytes);
    lent one;
    if (!each.bytes.empty())
      one.from.pieces = {each.bytes};
    one.from.ended = each.ended;

    CHECK_FALSE(one.read("mine"));

    CHECK(one.wakes == 1);
    CHECK(one.left(true) == each.bytes);
  }
}

TEST_CASE("the owner reads what no thread waits for, and ends a loan that nobody uses") {
  lent one;
  for (int i = 0; i < 16; ++i) {
    one.from.pieces = {frames({"beat"})};
    CHECK(one.left(false) == frames({"beat"}));
  }
  one.from.pieces = {frames({"mine"})};
  CHECK(one.read("mine"));
  for (int i = 0; i < 16; ++i)
    CHECK(one.left(false).empty());

  CHECK(one.left(true).empty());

  for (int i = 0; i < 100; ++i)
    one.it.begin();
  CHECK(one.wakes == 1); // not at the first who asks again
}

TEST_CASE("a turn of the owner ends, however much has come, and the next one goes on there") {
  constexpr int pieces = 64;
  std::string large(16'000, 'x');
  lent one;
  for (int i = 0; i < pieces; ++i)
    one.from.pieces.push_back(frames({large}));

  auto first = one.left(false);
  auto second = one.left(false);

  CHECK(one.from.watched); // so it is told of the rest
  CHECK(first.size() >= 200'000);
  CHECK(first.size() <= 400'000);
  CHECK(second.size() == first.size());
  CHECK(first.size() / frames({large}).size() + second.size() / frames({large}).size() +
            one.from.pieces.size() ==
        pieces);
}

TEST_CASE("who asks at the owner's turn has the next one") {
  lent one;
  one.from.pieces = {frames({"beat"})};
  REQUIRE(one.it.take_turn());
  one.from.watched = false; // who is told is told once

  auto turn = one.it.begin();
  CHECK(turn);
  CHECK_FALSE(one.it.begin()); // one at a time
  one.it.go_on();

  CHECK_FALSE(one.from.watched);
  CHECK_FALSE(one.it.take_turn());
  one.from.pieces = {frames({"mine"})};
  CHECK(one.it.read(
      std::move(turn), [](const frame&) { return true; }, [](const frame&) {},
      std::chrono::steady_clock::now() + 1s));
  CHECK(one.from.watched);
}

TEST_CASE("who would have the next turn goes, where the owner takes too long or ends the loan") {
  lent late;
  late.from.pieces = {frames({"beat"})};
  REQUIRE(late.it.take_turn());
  late.from.pieces = {frames({"mine"})};
  CHECK_FALSE(late.read("mine")); // it has come, and the owner is at it yet
  late.it.go_on();
  CHECK(late.from.watched);
  CHECK(late.read("mine"));

  lent over;
  over.from.pieces = {frames({"beat"})};
  REQUIRE(over.it.take_turn());
  {
    auto turn = over.it.begin();
    CHECK(turn);
  }
  over.it.go_on();
  CHECK(over.from.watched);
}

TEST_CASE("a thread that does not come back loses its turn, with what it has") {
  lent one;
  auto now = std::chrono::steady_clock::now();
  one.from.pieces = {frames({"mine"}).substr(0, 7)};
  one.from.on_wait = [&] {
    one.from.on_wait = [&] { // it waits for the rest
      CHECK_FALSE(one.it.take_back_late(now));
      auto rest = one.it.take_back_late(now + 1s);
      REQUIRE(rest);
      CHECK(rest->is_over);
      CHECK(text_of(rest->bytes) == frames({"mine"}).substr(0, 7));
      one.from.pieces = {frames({"mine"}).substr(7)};
    };
  };

  CHECK_FALSE(one.read("mine"));

  CHECK(one.from.pieces.size() == 1); // it has read no more
}

TEST_CASE("a loan may be closed under a reader, and while it takes its answer") {
  lent waiting;
  waiting.from.ended = true; // as a closed socket
  waiting.from.on_wait = [&] { waiting.it.close(); };
  CHECK_FALSE(waiting.read("mine"));
  CHECK_FALSE(waiting.it.begin());
  CHECK(waiting.wakes == 0);

  lent taking;
  taking.from.pieces = {frames({"mine"})};
  CHECK(taking.it.read(
      taking.it.begin(), [](const frame&) { return true; },
      [&](const frame& found) {
        taking.it.close();
        CHECK(text_of(found.payload) == "mine");
      },
      std::chrono::steady_clock::now() + 1s));
}

TEST_CASE("what the taker throws ends the turn and nothing else") {
  lent one;
  one.from.pieces = {frames({"mine"})};
  CHECK_THROWS_AS(one.it.read(
                      one.it.begin(), [](const frame&) { return true; },
                      [](const frame&) { throw std::runtime_error{"x"}; },
                      std::chrono::steady_clock::now() + 1s),
                  std::runtime_error);

  CHECK(one.from.watched);
  one.from.pieces = {frames({"mine"})};
  CHECK(one.read("mine"));
}

namespace {

/// A socket whose other end echoes frames, and now and then says something unasked; the owner
/// sleeps until it is told, as the I/O thread does.
class echoed_socket {
public:
  echoed_socket() {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    near_ = socket_owner{ends[0]};
    far_ = socket_owner{ends[1]};
    REQUIRE(set_);
    it.lend(inlet_from(near_.descriptor(), set_, 7));
    owner_ = std::thread{[this] { own(); }};
    peer_ = std::thread{[this] { echo(); }};
  }

  ~echoed_socket() {
    ending_ = true;
    ::shutdown(near_.descriptor(), SHUT_RDWR);
    peer_.join();
    owner_.join();
  }

  void send(int number) {
    std::vector<char> out;
    append_frame(out, kind, bytes_of(std::to_string(number)));
    ::send(near_.descriptor(), out.data(), out.size(), MSG_NOSIGNAL);
  }

  /// Counts an answer in `whose`; each is had once.
  void had(int number, std::atomic<int>& whose) {
    right = !answered[static_cast<std::size_t>(number)].exchange(true) && right;
    ++whose;
  }

  bool is_answered(int number) const { return answered[static_cast<std::size_t>(number)]; }

  std::array<std::atomic<bool>, 10'000> answered{};
  std::atomic<int> by_owner{0};
  std::atomic<int> by_readers{0};
  std::atomic<int> beats{0};
  std::atomic<bool> right{true};

private:
  void own() {
    while (!ending_) {
      pollfd what{set_->descriptor(), POLLIN, 0};
      bool told = ::poll(&what, 1, 1) > 0 && !set_->ready().empty();
      if (!told && !woken_.exchange(false))
        continue;
      auto rest = it.take_turn();
      if (!rest)
        continue;
      frame_parser parser{frame_max};
      parser.feed(rest->bytes);
      for (auto next = parser.next(); next && *next; next = parser.next()) {
        auto text = text_of((*next)->payload);
        if (text == "beat")
          ++beats;
        else
          had(std::stoi(text), by_owner);
      }
      if (!rest->is_over)
        it.go_on();
      else if (!ending_ && parser.is_between_frames())
        it.lend(inlet_from(near_.descriptor(), set_, 7));
      else
        right = right && ending_; // a frame is never cut: each is one send
    }
  }

  void echo() {
    std::string buffer(64 * 1024, '\0');
    for (int turn = 0;; ++turn) {
      auto got = ::recv(far_.descriptor(), buffer.data(), buffer.size(), 0);
      if (got <= 0)
        return;
      std::string out = buffer.substr(0, static_cast<std::size_t>(got));
      if (turn % 5 == 0)
        out = turn % 2 == 0 ? frames({"beat"}) + out : out + frames({"beat"});
      ::send(far_.descriptor(), out.data(), out.size(), MSG_NOSIGNAL);
    }
  }

  socket_owner near_;
  socket_owner far_;
  std::shared_ptr<watched_sockets> set_ = watched_sockets::make();
  std::atomic<bool> woken_{false};
  std::atomic<bool> ending_{false};

public:
  reading_loan it{nullptr, frame_max, [this] { woken_ = true; }};

private:
  std::thread owner_;
  std::thread peer_;
};

} // namespace

TEST_CASE("the owner is told again of what its turn left in the socket") {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  fly::cluster::socket_owner near{ends[0]};
  fly::cluster::socket_owner far{ends[1]};
  auto set = watched_sockets::make();
  reading_loan it{nullptr, frame_max, [] {}};
  it.lend(inlet_from(near.descriptor(), set, 7));
  constexpr std::size_t all = 2'048;
  auto one = frames({std::string(4'096 - frame_head_bytes, 'x')}); // so that no read cuts one
  std::thread peer{[&] {
    for (std::size_t i = 0; i < all; ++i)
      ::send(far.descriptor(), one.data(), one.size(), MSG_NOSIGNAL);
  }};

  std::size_t got = 0;
  std::size_t most = 0;
  for (pollfd what{set->descriptor(), POLLIN, 0}; got < all * one.size();) {
    if (::poll(&what, 1, 5000) != 1 || set->ready().empty())
      break;
    auto rest = it.take_turn();
    if (!rest)
      break;
    got += rest->bytes.size();
    most = std::max(most, rest->bytes.size());
    if (rest->is_over) // nobody uses it
      it.lend(inlet_from(near.descriptor(), set, 7));
    else
      it.go_on();
  }
  ::shutdown(near.descriptor(), SHUT_RDWR); // where it was told too little
  peer.join();

  CHECK(got == all * one.size());
  CHECK(most < 1'000'000);
}

TEST_CASE("of many answers each is had once, by a reader or by the owner") {
  constexpr int each = 3'000;
  for (int threads : {1, 3}) {
    CAPTURE(threads);
    echoed_socket socket;
    std::vector<std::thread> readers;
    for (int t = 0; t < threads; ++t)
      readers.emplace_back([&, t] {
        for (int i = 0; i < each; ++i) {
          auto number = t * each + i;
          auto turn = socket.it.begin();
          socket.send(number);
          socket.it.read(
              std::move(turn),
              [&](const frame& found) { return text_of(found.payload) == std::to_string(number); },
              [&](const frame&) { socket.had(number, socket.by_readers); },
              std::chrono::steady_clock::now() + 5ms);
          if (!fly::test::eventually([&] { return socket.is_answered(number); }))
            return;
        }
      });
    for (auto& reader : readers)
      reader.join();

    CHECK(socket.by_readers + socket.by_owner == threads * each);
    CHECK(socket.right);
    CHECK(socket.beats > 0);
    if (threads == 1)
      CHECK(socket.by_readers > 0);
    else
      CHECK(socket.by_owner > 0);
  }
}
