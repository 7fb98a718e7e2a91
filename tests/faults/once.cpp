// Writes with a key, each asked for from two nodes, answers thrown away, primary nodes killed.
#include <algorithm>
#include <atomic>
#include <csignal>
#include <mutex>
#include <random>
#include <thread>

#include "fly/actors/error.hpp"
#include "tests/faults/contract.hpp"
#include "tests/faults/faults.hpp"

namespace fly::faults {

namespace {

constexpr std::size_t threads = 16;
constexpr milliseconds patient{20'000};

/// A second node of this process that calls, beside another replica.
caller_node second_caller(lab& it) {
  repo::options database;
  database.database_url = it.lax_database().url();
  return {it.node_options("gru", "gru-1", 15), database};
}

/// What the threads share. Safe from any thread.
struct progress {
  std::atomic<std::size_t> next = 0;
  std::atomic<std::size_t> thrown_away = 0;
  std::atomic<std::size_t> repeated = 0;
  std::mutex mutex;
  std::vector<std::string> wrong; // guarded by mutex

  void say(std::string what) {
    std::lock_guard guard{mutex};
    if (wrong.size() < 10)
      wrong.push_back(std::move(what));
  }
};

/// Asks for the write number `number` from one node, perhaps without waiting for the answer, and
/// then from the other.
void write_twice(progress& all, const caller_node& first, const caller_node& second,
                 const std::string& text, bool throw_away, milliseconds impatient) {
  auto call = [&](const caller_node& from, milliseconds timeout) {
    return rpc_primary(from.db.with({.timeout = timeout, .key = text}), add, text);
  };
  auto one = call(first, throw_away ? impatient : patient);
  all.thrown_away += throw_away ? 1 : 0;
  if (!one && !throw_away)
    all.say(text + ": " + fly::to_string(one.error()));
  auto two = call(second, patient);
  if (!two)
    return all.say(text + ", again: " + fly::to_string(two.error()));
  all.repeated += two->repeated() ? 1 : 0;
  if (one && **one != **two)
    all.say(text + " gave " + std::to_string(**one) + " and then " + std::to_string(**two));
}

/// Kills the nodes of the primary in turn, and starts each again, until all `writes` are begun.
std::size_t kill_in_turn(lab& it, const progress& all, std::size_t writes,
                         std::minstd_rand& random) {
  std::size_t kills = 0;
  for (; all.next < writes; ++kills) {
    std::string id = kills % 2 == 0 ? "syd-1" : "syd-2";
    std::this_thread::sleep_for(milliseconds{200 + random() % 800});
    it.kill(id);
    std::this_thread::sleep_for(milliseconds{100 + random() % 400});
    it.start(id);
    eventually([&] { return it.is_well(id); }, 10s);
  }
  return kills;
}

} // namespace

row once(lab& it, const once_options& given, unsigned seed) {
  row result{"writes with a key"};
  auto other = second_caller(it);
  if (auto reason = other.node.join())
    throw std::runtime_error{fly::to_string(reason)};
  result.expect(eventually([&] { return other.node.primary_group().size() == 2; }),
                "both callers see it");
  it.servers.primary().sql("TRUNCATE rows");

  progress all;
  auto work = [&](std::size_t index) {
    std::minstd_rand random{static_cast<unsigned>(seed + 7919 * index)};
    for (auto number = all.next++; number < given.writes; number = all.next++) {
      bool here_first = random() % 2 == 0;
      bool throw_away = random() % 10 == 0;
      auto& first = here_first ? it.caller() : other;
      auto& second = here_first ? other : it.caller();
      write_twice(all, first, second, "once-" + std::to_string(number), throw_away,
                  milliseconds{1 + random() % 4});
      if (given.kills) // so that there is time to be killed in
        std::this_thread::sleep_for(milliseconds{random() % 200});
    }
  };
  auto begin = clock::now();
  std::vector<std::thread> workers;
  for (std::size_t i = 0; i < threads; ++i)
    workers.emplace_back(work, i);
  std::minstd_rand random{seed};
  // Here, because a process ends with the thread that has started it.
  auto kills = given.kills ? kill_in_turn(it, all, given.writes, random) : 0;
  for (auto& each : workers)
    each.join();

  auto took = since(begin);
  for (auto& each : all.wrong)
    result.expect(false, each);
  auto effects = it.servers.primary().sql("SELECT count(*) FROM rows");
  auto texts = it.servers.primary().sql("SELECT count(DISTINCT text) FROM rows");
  auto wanted = std::to_string(given.writes);
  result.expect(effects == wanted, effects + " effects of " + wanted + " writes");
  result.expect(texts == wanted, texts + " of " + wanted + " writes have an effect");
  result.expect(all.thrown_away > 0, "answers were thrown away");
  result.expect(!given.kills || kills > 0, "nodes were killed");
  result.note = wanted + " writes, each asked for from two nodes, " + effects + " effects; " +
                std::to_string(all.thrown_away) + " answers thrown away, " +
                std::to_string(all.repeated) + " second calls got the first result, " +
                std::to_string(kills) + " kills, " + std::to_string(took.count() / 1000) + " s";
  it.settle();
  return result;
}

} // namespace fly::faults
