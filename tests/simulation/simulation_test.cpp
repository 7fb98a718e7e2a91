// Proves the simulation itself: clocks, order of events, connections, blocking code, servers, and
// that a seed is all that decides.
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include "tests/simulation/cluster_run.hpp"
#include "tests/simulation/sessions.hpp"
#include "tests/simulation/world.hpp"

using namespace std::chrono_literals;
using namespace fly::simulation;

namespace {

machine machine_of(std::size_t index) {
  machine result;
  result.index = index;
  result.id = "m" + std::to_string(index);
  result.region = "r" + std::to_string(index);
  result.address = "10.0.0." + std::to_string(index) + ":1";
  return result;
}

void run_all(world& all, moment until) {
  while (all.when.step(until))
    continue;
}

/// Two machines and a connection between them.
struct two_ends {
  explicit two_ends(std::uint64_t seed = 1) : all(seed, false) {
    all.net.add(a);
    all.net.add(b);
    all.net.listen(b, [this](std::shared_ptr<fly::simulation::socket> fresh, std::string) {
      accepted = std::move(fresh);
      fly::simulation::socket_user user;
      user.on_bytes = [this](std::span<const std::byte> bytes) {
        heard.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      };
      user.on_closed = [this] { closed = true; };
      accepted->set_user(std::move(user));
    });
    dialled = all.net.dial(a, b.address);
    fly::simulation::socket_user user;
    user.on_taken = [this](std::size_t bytes) { unsent = bytes; };
    user.on_closed = [this] { refused = true; };
    dialled->set_user(std::move(user));
  }

  void send(const std::string& text) { dialled->send({text.data(), text.size()}); }

  world all;
  machine a = machine_of(1);
  machine b = machine_of(2);
  std::shared_ptr<fly::simulation::socket> dialled;
  std::shared_ptr<fly::simulation::socket> accepted;
  std::string heard;
  std::size_t unsent = 0;
  bool closed = false;
  bool refused = false;
};

} // namespace

TEST_CASE("a machine's clocks are its own") {
  machine_clock clock;
  auto steady = clock.steady_at(0s);
  auto wall = clock.wall_at(0s);

  CHECK(clock.steady_at(10s) - steady == 10s);
  clock.drift(10'000, 10s);
  CHECK(clock.steady_at(20s) - steady == 20s + 100ms);
  CHECK(clock.when(steady + 20s + 100ms, 10s) == 20s + 1ns);
  clock.step(-5s);
  CHECK(clock.wall_at(20s) - wall == 15s + 100ms);
  CHECK(clock.steady_at(20s) - steady == 20s + 100ms);
}

TEST_CASE("std::chrono shows the clock of the machine whose task runs") {
  world all{1, false};
  auto slow = machine_of(1);
  slow.clock.drift(-500'000, 0s);
  std::chrono::steady_clock::duration passed{};
  auto begun = std::chrono::steady_clock::now();
  all.when.at(10s, &slow, [&] { passed = std::chrono::steady_clock::now() - begun; });

  run_all(all, 20s);

  CHECK(passed == 5s);
  CHECK(std::chrono::steady_clock::now() - begun == 20s);
}

TEST_CASE("a frozen machine's tasks wait in order, a crashed one's are dropped") {
  world all{1, false};
  auto who = machine_of(1);
  std::string order;
  for (char each : {'a', 'b', 'c'})
    all.when.at(std::chrono::seconds{each - 'a' + 1}, &who, [&order, each] { order += each; });
  who.frozen = true;

  run_all(all, 5s);
  CHECK(order.empty());
  all.when.thaw(who);
  run_all(all, 6s);
  CHECK(order == "abc");

  all.when.after(1s, &who, [&] { order += 'd'; });
  ++who.life;
  run_all(all, 9s);
  CHECK(order == "abc");
}

TEST_CASE("bytes come in order whatever is lost, and whole") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    two_ends ends{seed};
    ends.all.net.quality.loss_percent = 30;
    std::string sent;
    for (int i = 0; i < 200; ++i)
      sent += "message " + std::to_string(i) + ";";
    for (std::size_t at = 0; at < sent.size(); at += 100)
      ends.send(sent.substr(at, 100));

    run_all(ends.all, 100s);

    CHECK(ends.heard == sent);
  }
}

TEST_CASE("a reader that does not read leaves all but a window at the sender") {
  two_ends ends;
  run_all(ends.all, 1s);
  ends.b.frozen = true;

  ends.send(std::string(100'000, 'x'));
  run_all(ends.all, 10s);

  CHECK(ends.unsent >= 100'000 - network::window_bytes - 8 * 1024);
  ends.all.when.thaw(ends.b);
  run_all(ends.all, 20s);
  CHECK(ends.heard.size() == 100'000);
  CHECK(ends.unsent == 0);
}

TEST_CASE("a cut way loses nothing, a reset what flies, a crash is told or not") {
  two_ends ends;
  run_all(ends.all, 1s);
  ends.all.net.cut(ends.a, ends.b);
  ends.send("late");
  run_all(ends.all, 5s);
  CHECK(ends.heard.empty());
  ends.all.net.heal(ends.a, ends.b);
  run_all(ends.all, 15s);
  CHECK(ends.heard == "late");

  ends.send("gone");
  ends.all.net.reset(ends.a, ends.b);
  run_all(ends.all, 20s);
  CHECK(ends.heard == "late");
  CHECK(ends.closed);
  CHECK(ends.refused);

  for (bool told : {false, true}) {
    two_ends again;
    run_all(again.all, 1s);
    again.all.net.crash(again.a, told);
    ++again.a.life;
    run_all(again.all, 30s);
    CHECK(again.closed == told);
  }
}

TEST_CASE("blocking code waits in virtual time, is woken, and ends with its machine") {
  world all{1, false};
  auto who = machine_of(1);
  std::mutex mutex;
  std::condition_variable changed;
  bool ready = false;
  std::vector<moment> woken;
  bool unwound = false;
  all.threads.start(who, [&] {
    std::unique_lock lock{mutex};
    changed.wait_until(lock, std::chrono::steady_clock::now() + 3s, [&] { return ready; });
    woken.push_back(now());
    changed.wait_until(lock, std::chrono::steady_clock::now() + 3s, [] { return false; });
    woken.push_back(now());
    struct on_end {
      bool& set;
      ~on_end() { set = true; }
    } last{unwound};
    for (;;)
      pass(1s);
  });
  all.when.at(1s, &who, [&] {
    ready = true;
    changed.notify_one();
  });

  run_all(all, 10s);

  REQUIRE(woken.size() == 2);
  CHECK(woken[0] == 1s);
  CHECK(woken[1] >= 4s);
  CHECK(woken[1] < 4s + 1ms);
  CHECK_FALSE(unwound);
  all.threads.kill(who);
  CHECK(unwound);
  CHECK(all.threads.size() == 0);
}

TEST_CASE("a promotion loses what the replica had not replayed, and says where") {
  world all{1, false};
  postgres_cluster servers{all, {"ams", "lax"}};
  auto& ams = servers.of("ams");
  auto& lax = servers.of("lax");
  auto order = [](std::uint64_t number) {
    return [number](tables& rows) { ++rows.orders[number]; };
  };
  ams.commit(ams.assign_xid(), order(1), 1);
  run_all(all, 1s);
  CHECK(lax.rows().orders.contains(1));
  lax.stalled_until = 10s;
  auto lost = ams.commit(ams.assign_xid(), order(2), 2);
  run_all(all, 2s);

  servers.promote("lax");

  CHECK(lax.timeline() == 2);
  CHECK_FALSE(lax.rows().orders.contains(2));
  CHECK(lost.lsn > *servers.switches().at(2).left_at);
  CHECK_FALSE(ams.follows(lax));
  ams.rebuild(lax);
  CHECK(ams.follows(lax));
  CHECK_FALSE(ams.rows().orders.contains(2));
}

TEST_CASE("the same seed is the same run, another one is another") {
  auto first = cluster_run{7, false}.run();
  auto again = cluster_run{7, false}.run();
  auto other = cluster_run{8, false}.run();

  CHECK(first.violation.empty());
  CHECK(first.events > 1000);
  CHECK(first.hash == again.hash);
  CHECK(first.events == again.events);
  CHECK(first.hash != other.hash);
}
