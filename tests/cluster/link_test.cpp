// Proves what travels between members: frames of every size, whole and in order from many threads;
// a bound on what waits for a peer that does not read; and an end for a peer that is silent.
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/cluster/beat.hpp"
#include "fly/cluster/node_core.hpp"
#include "fly/cluster/wire.hpp"
#include "tests/cluster/nodes.hpp"
#include "tests/cluster/stranger.hpp"

using namespace std::chrono_literals;
using namespace fly::cluster;
using namespace fly::test;
using fly::errc;

namespace {

constexpr auto kind = frame_kind::first_user;

/// Two nodes with a link, and what the second one hears.
struct linked_pair {
  explicit linked_pair(options settings_a = quick_node("syd"), std::size_t frame_bytes_max = 0)
      : a{std::move(settings_a)} {
    REQUIRE_FALSE(a.join());
    auto settings_b = quick_node("lax", {a.self().address});
    if (frame_bytes_max != 0)
      settings_b.frame_bytes_max = frame_bytes_max;
    b = std::make_unique<node>(settings_b);
    b->listen(heard);
    REQUIRE_FALSE(b->join());
    REQUIRE(eventually([&] { return sees(a, 2) && sees(*b, 2); }));
    to_b = a.channel_to(b->self().id);
    REQUIRE(to_b);
  }

  std::shared_ptr<memory_listener> heard = std::make_shared<memory_listener>();
  node a;
  std::unique_ptr<node> b;
  std::shared_ptr<channel> to_b;
};

member hollow(const std::string& id) {
  return {.id = id, .incarnation = 1, .region = "ams"};
}

} // namespace

TEST_CASE("frames of many threads arrive whole and in the order of each thread") {
  linked_pair pair;
  constexpr int threads = 8;
  constexpr int each = 2000;
  std::vector<std::thread> senders;
  for (int t = 0; t < threads; ++t)
    senders.emplace_back([&, t] {
      for (int i = 0; i < each; ++i) {
        auto head = std::to_string(t) + " " + std::to_string(i) + " ";
        while (pair.to_b->send(kind, bytes_of(head), bytes_of(std::string(i % 700, 'x'))))
          std::this_thread::yield(); // at the bound: again
      }
    });
  for (auto& sender : senders)
    sender.join();

  auto id = pair.a.self().id;
  REQUIRE(eventually([&] { return pair.heard->from(id).size() == threads * each; }));
  std::vector<int> next(threads, 0);
  bool right = true;
  for (const auto& text : pair.heard->from(id)) {
    auto thread = static_cast<std::size_t>(std::stoi(text));
    auto number = std::stoi(text.substr(text.find(' ') + 1));
    auto head = std::to_string(thread) + " " + std::to_string(number) + " ";
    right = right && number == next[thread]++ &&
            text.size() == head.size() + static_cast<std::size_t>(number) % 700;
  }
  CHECK(right);
  CHECK(eventually([&] { return pair.to_b->unsent_bytes() == 0; }));
}

TEST_CASE("frames of every size around the bounds of buffers arrive") {
  linked_pair pair;
  std::vector<std::string> sent;
  for (std::size_t size :
       {0, 1, 4090, 4091, 4092, 4095, 4096, 4097, 8192, 70'000, 73'728, 200'000, 5'000'000})
    sent.emplace_back(size, static_cast<char>('a' + sent.size()));
  for (const auto& text : sent)
    CHECK_FALSE(pair.to_b->send(kind, bytes_of(text)));

  auto id = pair.a.self().id;
  CHECK(eventually([&] { return pair.heard->from(id).size() == sent.size(); }));
  CHECK(pair.heard->from(id) == sent);
}

TEST_CASE("the longest frame passes and one byte more is refused before it is sent") {
  linked_pair pair;
  auto limit = pair.a.settings().frame_bytes_max;
  std::string longest(limit - 1, 'z'); // the kind is the last byte

  CHECK_FALSE(pair.to_b->send(kind, bytes_of(longest)));
  auto refused = pair.to_b->send(kind, bytes_of(longest), bytes_of("1"));

  REQUIRE(refused);
  CHECK(refused == errc::frame_too_large);
  auto id = pair.a.self().id;
  REQUIRE(eventually([&] { return pair.heard->from(id).size() == 1; }));
  CHECK(pair.heard->from(id).front() == longest);
  CHECK(sees(pair.a, 2));
}

TEST_CASE("a frame longer than the receiver's bound costs the link") {
  linked_pair pair{quick_node("syd"), 64 * 1024};

  pair.to_b->send(kind, bytes_of(std::string(100'000, 'x')));

  CHECK(eventually([&] { return !pair.to_b->is_open(); }));
  CHECK(eventually([&] { return sees(pair.a, 2) && sees(*pair.b, 2); })); // linked anew
}

TEST_CASE("a peer that does not read costs the bound and no more, and is dropped when silent") {
  auto settings = quick_node("syd");
  settings.unsent_bytes_max = 1024 * 1024;
  settings.silence_max = 1500ms;
  node busy{settings};
  auto heard = std::make_shared<memory_listener>();
  busy.listen(heard);
  REQUIRE_FALSE(busy.join());
  hollow_member deaf{busy.self().address, hollow("deaf")};
  REQUIRE(deaf.is_up());
  REQUIRE(eventually([&] { return busy.channel_to("deaf") != nullptr; }));
  auto to_deaf = busy.channel_to("deaf");

  caf::error refused;
  std::string block(10'000, 'x');
  for (int i = 0; i < 100'000 && !refused; ++i) {
    refused = to_deaf->send(kind, bytes_of(block));
    if (i % 50 == 0)
      std::this_thread::sleep_for(1ms); // the socket takes what it can
  }

  REQUIRE(refused);
  CHECK(refused == errc::overloaded);
  CHECK(to_deaf->unsent_bytes() <= settings.unsent_bytes_max + 1024);
  CHECK(eventually([&] { return busy.members().size() == 1; }, 4s));
  CHECK(heard->downs().size() == 1);
  CHECK_FALSE(to_deaf->is_open());
  CHECK(to_deaf->unsent_bytes() == 0);
}

TEST_CASE("a silent member is suspect, then gone, and nobody else with it") {
  auto settings = quick_node("syd");
  settings.silence_max = 1000ms;
  node watcher{settings};
  REQUIRE_FALSE(watcher.join());
  node lively{quick_node("lax", {watcher.self().address})};
  REQUIRE_FALSE(lively.join());
  hollow_member silent{watcher.self().address, hollow("silent")};
  auto began = std::chrono::steady_clock::now();
  REQUIRE(eventually([&] { return watcher.members().size() == 3; }));
  bool was_suspect = false;

  CHECK(eventually([&] {
    for (const auto& view : watcher.views())
      was_suspect |= view.who.id == "silent" && view.state == presence::suspect;
    return watcher.members().size() == 2;
  }));

  auto took = std::chrono::steady_clock::now() - began;
  CHECK(was_suspect);
  CHECK(took > 950ms);
  CHECK(took < 1000ms + 1500ms);
  CHECK(sees(watcher, 2));
}

TEST_CASE("malformed frames of a member cost its link only") {
  node target{quick_node("syd")};
  REQUIRE_FALSE(target.join());
  node friendly{quick_node("lax", {target.self().address})};
  REQUIRE_FALSE(friendly.join());
  REQUIRE(eventually([&] { return target.channel_to(friendly.self().id) != nullptr; }));
  auto before = target.channel_to(friendly.self().id);
  for (auto kind_of_bad : {frame_kind::beat, frame_kind::hello, frame_kind::welcome}) {
    hollow_member bad{target.self().address, hollow("bad")};
    REQUIRE(bad.is_up());
    bad.send(kind_of_bad, "?");
    CHECK(bad.connection().read_to_end() != "(open)");
  }
  hollow_member odd{target.self().address, hollow("odd")};
  odd.send(static_cast<frame_kind>(12), "of a later version");
  odd.send(frame_kind::beat, std::string{encode(beat{.sent_us = 1}).data(), 60});

  CHECK(eventually([&] { return target.channel_to("odd") != nullptr; }));
  CHECK(target.channel_to(friendly.self().id) == before);
}

TEST_CASE("an authenticated dial replaces a link that its peer has lost") {
  auto settings = quick_node("syd");
  settings.handshake_timeout = 100ms;
  settings.silence_max = 10s;
  settings.heartbeat = 50ms;
  node target{settings};
  REQUIRE_FALSE(target.join());
  hollow_member first{target.self().address, hollow("m")};
  REQUIRE(eventually([&] { return target.channel_to("m") != nullptr; }));
  auto old = target.channel_to("m");
  hollow_member too_soon{target.self().address, hollow("m")};
  std::this_thread::sleep_for(150ms);

  hollow_member second{target.self().address, hollow("m")};

  CHECK_FALSE(too_soon.is_up());
  CHECK(second.is_up());
  CHECK(eventually([&] { return !old->is_open(); }));
  CHECK(target.channel_to("m") != old);
}

TEST_CASE(
    "work for the I/O thread that throws takes neither other work nor the heartbeats with it") {
  log_lines log;
  node a{quick_node("syd")};
  REQUIRE_FALSE(a.join());
  auto settings = quick_node("lax", {a.self().address});
  settings.log = log.sink();
  node_core b{nullptr, settings};
  std::atomic<bool> ran{false};
  b.bell().post([](mesh&) { throw std::runtime_error("oops"); });
  b.bell().post([](mesh&) { throw 42; });
  b.bell().post([&](mesh&) { ran = true; });

  REQUIRE_FALSE(b.join());

  REQUIRE(eventually([&] { return sees(a, 2); }));
  CHECK(ran);
  CHECK(log.count("error: goes on after: oops") == 1);
  CHECK(log.count("error: goes on after: what was thrown is no std::exception") == 1);
  std::this_thread::sleep_for(settings.silence_max + settings.heartbeat);
  CHECK(sees(a, 2));
}
