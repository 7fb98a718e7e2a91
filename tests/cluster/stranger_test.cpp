// Proves what a port of a node does to those who do not belong: each is closed with one line in the
// log, costs nothing that stays, and disturbs no member.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/cluster/handshake.hpp"
#include "fly/cluster/wire.hpp"
#include "tests/cluster/nodes.hpp"
#include "tests/cluster/stranger.hpp"

using namespace std::chrono_literals;
using namespace fly::cluster;
using namespace fly::test;

namespace {

std::size_t open_descriptors() {
  auto all = std::filesystem::directory_iterator{"/proc/self/fd"};
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

/// While it lives the process has no descriptor left, but for those that are closed meanwhile.
class no_descriptors {
public:
  no_descriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    int highest = 0;
    for (const auto& each : std::filesystem::directory_iterator{"/proc/self/fd"})
      highest = std::max(highest, std::stoi(each.path().filename().string()));
    auto tight = before_;
    tight.rlim_cur = static_cast<rlim_t>(highest) + 8;
    ::setrlimit(RLIMIT_NOFILE, &tight);
    for (int taken = ::dup(0); taken >= 0; taken = ::dup(0))
      taken_.push_back(taken);
  }
  ~no_descriptors() {
    for (auto each : taken_)
      ::close(each);
    ::setrlimit(RLIMIT_NOFILE, &before_);
  }
  no_descriptors(const no_descriptors&) = delete;
  no_descriptors& operator=(const no_descriptors&) = delete;

  void free_one() {
    ::close(taken_.back());
    taken_.pop_back();
  }

private:
  rlimit before_{};
  std::vector<int> taken_;
};

std::chrono::microseconds processor_time() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  auto of = [](timeval time) {
    return std::chrono::seconds{time.tv_sec} + std::chrono::microseconds{time.tv_usec};
  };
  return of(used.ru_utime) + of(used.ru_stime);
}

std::string text_of_frame(const std::vector<char>& bytes) {
  return {bytes.begin(), bytes.end()};
}

} // namespace

TEST_CASE("HTTP is closed without an answer and with one line") {
  log_lines log;
  auto settings = quick_node("syd");
  settings.log = log.sink();
  node target{settings};
  REQUIRE_FALSE(target.join());

  for (int i = 0; i < 5; ++i) {
    stranger browser{target.self().address};
    browser.send("GET / HTTP/1.1\r\nHost: shop\r\n\r\n");
    CHECK(browser.read_to_end() == "");
  }

  CHECK(log.count("warning: no link with 127.0.0.1") == 1);
}

TEST_CASE("random bytes from many strangers disturb nobody") {
  std::mt19937_64 random{20'261'123};
  node target{quick_node("syd")};
  REQUIRE_FALSE(target.join());
  node friendly{quick_node("lax", {target.self().address})};
  REQUIRE_FALSE(friendly.join());
  REQUIRE(eventually([&] { return sees(target, 2) && sees(friendly, 2); }));

  for (int i = 0; i < 200; ++i) {
    std::string garbage(1 + random() % 300, '\0');
    for (auto& c : garbage)
      c = static_cast<char>(random());
    if (i % 2 == 0) // a plausible length and kind, so that the parser lets it through
      garbage.replace(0, std::min<std::size_t>(5, garbage.size()),
                      std::string("\0\0\0\x10\x01", std::min<std::size_t>(5, garbage.size())));
    stranger noisy{target.self().address};
    noisy.send(garbage);
  }

  CHECK(sees(target, 2));
  CHECK(sees(friendly, 2));
}

TEST_CASE("a silent stranger is closed after the handshake timeout") {
  node target{quick_node("syd")};
  REQUIRE_FALSE(target.join());
  stranger silent{target.self().address};
  auto began = std::chrono::steady_clock::now();

  CHECK(silent.read_to_end() == "");

  auto took = std::chrono::steady_clock::now() - began;
  CHECK(took > 400ms);
  CHECK(took < 4s);
}

TEST_CASE("a stranger who says hello slowly is closed too") {
  node target{quick_node("syd")};
  REQUIRE_FALSE(target.join());
  stranger slow{target.self().address};
  std::thread drip{[&] {
    for (int i = 0; i < 20; ++i) {
      slow.send(std::string(1, '\0'));
      std::this_thread::sleep_for(50ms);
    }
  }};

  CHECK(slow.read_to_end() == "");

  drip.join();
}

TEST_CASE("idle strangers make room for a member") {
  auto settings = quick_node("syd");
  settings.strangers_max = 4;
  settings.handshake_timeout = 30s;
  node target{settings};
  REQUIRE_FALSE(target.join());
  std::vector<std::unique_ptr<stranger>> idle;
  for (int i = 0; i < 20; ++i)
    idle.push_back(std::make_unique<stranger>(target.self().address));

  node friendly{quick_node("lax", {target.self().address})};
  REQUIRE_FALSE(friendly.join());

  CHECK(eventually([&] { return sees(target, 2) && sees(friendly, 2); }));
  CHECK(idle.front()->read_to_end() == "");
}

TEST_CASE("the wrong secret is refused, both ways, with a line on each side") {
  for (auto [mine, theirs] :
       {std::pair{"right", "wrong"}, std::pair{"right", ""}, std::pair{"", "wrong"}}) {
    log_lines log_a;
    log_lines log_b;
    auto settings_a = quick_node("syd");
    settings_a.secret = mine;
    settings_a.log = log_a.sink();
    node a{settings_a};
    REQUIRE_FALSE(a.join());
    auto settings_b = quick_node("lax", {a.self().address});
    settings_b.secret = theirs;
    settings_b.log = log_b.sink();
    node b{settings_b};
    REQUIRE_FALSE(b.join());

    CHECK(eventually([&] { return log_a.count("wrong secret") > 0; }));
    CHECK(eventually([&] { return log_b.count("wrong secret") > 0; }));

    std::this_thread::sleep_for(200ms); // some more attempts
    CHECK(a.members().size() == 1);
    CHECK(b.members().size() == 1);
    CHECK(log_a.count("warning: ") == 1);
  }
}

TEST_CASE("the secret is changed one node after the other, and all stay linked") {
  std::vector<std::unique_ptr<node>> nodes;
  std::vector<std::string> addresses;
  auto start = [&](std::size_t i, const std::string& secret, const std::string& also) {
    auto settings = quick_node("syd", addresses);
    settings.secret = secret;
    settings.secret_also = also;
    if (i < addresses.size())
      settings.port = parse_socket_address(addresses[i], 0)->port;
    auto made = join_again(settings);
    REQUIRE(made);
    return made;
  };
  auto all_linked = [&] {
    return eventually([&] {
      return std::all_of(nodes.begin(), nodes.end(), [](const auto& it) { return sees(*it, 3); });
    });
  };
  for (std::size_t i = 0; i < 3; ++i) {
    nodes.push_back(start(i, "old", ""));
    addresses.push_back(nodes.back()->self().address);
  }
  REQUIRE(all_linked());

  for (auto step : {std::pair{"old", "new"}, {"new", "old"}, {"new", ""}})
    for (std::size_t i = 0; i < 3; ++i) {
      nodes[i].reset();
      nodes[i] = start(i, step.first, step.second);
      CHECK_MESSAGE(all_linked(), "node ", i, " with ", step.first, " and ", step.second);
    }

  auto late = start(3, "old", "new"); // one that the last deploy has missed
  std::this_thread::sleep_for(500ms);
  CHECK(late->members().size() == 1);
  CHECK(all_linked());
}

TEST_CASE("the right secret lets a member in") {
  auto settings_a = quick_node("syd");
  settings_a.secret = "one of many words";
  node a{settings_a};
  REQUIRE_FALSE(a.join());
  auto settings_b = quick_node("lax", {a.self().address});
  settings_b.secret = "one of many words";
  node b{settings_b};
  REQUIRE_FALSE(b.join());

  CHECK(eventually([&] { return sees(a, 2) && sees(b, 2); }));
}

TEST_CASE("another cluster's name is refused") {
  log_lines log;
  auto settings_a = quick_node("syd");
  settings_a.app = "shop";
  settings_a.dns_name = "127.0.0.1"; // nothing to ask
  settings_a.log = log.sink();
  node a{settings_a};
  REQUIRE_FALSE(a.join());
  auto settings_b = quick_node("lax", {a.self().address});
  settings_b.app = "bank";
  settings_b.dns_name = "127.0.0.1";
  node b{settings_b};
  REQUIRE_FALSE(b.join());

  CHECK(eventually([&] { return log.count("wrong cluster name: 'bank' instead of 'shop'") > 0; }));
  CHECK(a.members().size() == 1);
}

TEST_CASE("a hello of the right cluster without a proof gets a hello and nothing more") {
  auto settings = quick_node("syd");
  settings.secret = "secret";
  node target{settings};
  REQUIRE_FALSE(target.join());
  auto who = std::make_shared<const identity>(
      identity{{.id = "x", .incarnation = 1, .region = "syd"}, "", "guess"});
  handshake talk{handshake::side::dialler, who, random_nonce()};
  stranger liar{target.self().address};

  liar.send(text_of_frame(talk.begin()));
  std::vector<char> proof;
  append_frame(proof, frame_kind::proof, bytes_of(std::string(32, 'p')));
  append_frame(proof, frame_kind::first_user, bytes_of("run this"));
  liar.send(text_of_frame(proof));
  auto answer = liar.read_to_end();

  REQUIRE(answer.size() > 5);
  CHECK(answer[4] == static_cast<char>(frame_kind::hello));
  CHECK(answer.substr(answer.size() - 6) == text_of_frame(refuse_frame(refusal::wrong_secret)));
  CHECK(target.members().size() == 1);
}

TEST_CASE("200 connections that come and go leave no descriptor behind") {
  node target{quick_node("syd")};
  REQUIRE_FALSE(target.join());
  {
    stranger first{target.self().address};
    first.send("warm up");
    first.read_to_end();
  }
  auto before = open_descriptors();

  for (int i = 0; i < 200; ++i) {
    stranger guest{target.self().address};
    REQUIRE(guest.connected());
    if (i % 3 == 0)
      guest.send("garbage, more than five bytes");
    if (i % 3 == 1)
      guest.send(std::string(2, '\0'));
  }

  CHECK(eventually([&] { return open_descriptors() <= before; }));
}

TEST_CASE("a process without descriptors lets nobody in, rests meanwhile, and goes on by itself") {
  log_lines log;
  auto settings = quick_node("syd");
  settings.log = log.sink();
  node target{settings};
  REQUIRE_FALSE(target.join());
  auto exhausted = std::make_unique<no_descriptors>();
  exhausted->free_one();
  stranger waiting{target.self().address};
  REQUIRE(waiting.connected());
  REQUIRE(eventually([&] { return log.count("nobody new is let in") == 1; }));

  auto before = processor_time();
  CHECK(waiting.read_to_end(600ms) == "(open)");
  CHECK(processor_time() - before < 300ms);
  exhausted.reset();

  CHECK(waiting.read_to_end() == ""); // let in, and closed after the handshake timeout
  CHECK(log.count("nobody new is let in at the moment: Too many open files") == 1);
}

TEST_CASE("a node leaves while it has no descriptor for those who wait to be let in") {
  log_lines log;
  auto settings = quick_node("syd");
  settings.log = log.sink();
  auto target = std::make_unique<node>(settings);
  REQUIRE_FALSE(target->join());
  no_descriptors exhausted;
  exhausted.free_one();
  stranger waiting{target->self().address};
  REQUIRE(eventually([&] { return log.count("nobody new is let in") == 1; }));

  target.reset();

  CHECK(waiting.read_to_end() == "");
}
