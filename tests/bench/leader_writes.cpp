// leader_writes: what the fence of a leader's write costs, and what a key does. 64 callers in lax
// write through the primary's node, without waiting for the replica; ordinary writes, leader's
// writes and writes with a key take turns in rounds of one run, and their ratio is what counts.
// Each inserts one row of its own. Counts the multixacts
// too: concurrent fences share the lock of one row.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include <boost/program_options.hpp>

#include <nlohmann/json.hpp>

#include "fly/actors/error.hpp"
#include "fly/repo/rpc_and_wait.hpp"
#include "tests/apps/three_regions.hpp"
#include "tests/bench/percentile.hpp"
#include "tests/support/program.hpp"

namespace po = boost::program_options;

namespace {

using fly::bench::percentile;
using clock = std::chrono::steady_clock;
using microseconds = std::chrono::duration<double, std::micro>;
using placing = fly::repo::write<std::int64_t(std::string)>;

/// One case, from all rounds.
struct measured {
  std::vector<double> us;      // of each write
  std::vector<double> per_s;   // of each round
  std::int64_t multixacts = 0; // that the primary gave out
};

class bench {
public:
  bench(int callers, int writes) : callers_(callers), writes_(writes) {
    bool leads = fly::test::eventually(
        [&] { return cluster_.lax().node.primary().lease.counter > 0 && warm_up(); });
    if (!leads)
      throw std::runtime_error{"nobody leads"};
  }

  void round() {
    const fly::repo::bound_database plain{cluster_.lax().db};
    run("ordinary", fly::test::place_order, plain);
    run("on the leader", fly::test::place_order_on_leader, plain);
    run("with a key", fly::test::place_order, plain.once());
  }

  nlohmann::json report() const {
    auto rows = nlohmann::json::array();
    const auto& ordinary = all_.at("ordinary");
    for (const auto& [name, it] : all_) {
      auto per_write = static_cast<double>(it.multixacts) / static_cast<double>(it.us.size());
      rows.push_back(
          {{"case", name},
           {"callers", callers_},
           {"writes", it.us.size()},
           {"p50_us", percentile(it.us, 0.5)},
           {"p99_us", percentile(it.us, 0.99)},
           {"per_s", percentile(it.per_s, 0.5)},
           {"multixacts_per_write", per_write},
           {"p50_ratio", percentile(it.us, 0.5) / percentile(ordinary.us, 0.5)},
           {"p99_ratio", percentile(it.us, 0.99) / percentile(ordinary.us, 0.99)},
           {"per_s_ratio", percentile(it.per_s, 0.5) / percentile(ordinary.per_s, 0.5)}});
    }
    return {{"rows", rows}, {"failed", failed_.load()}};
  }

private:
  bool warm_up() {
    return fly::rpc_primary(cluster_.lax().db, fly::test::place_order_on_leader, item()) &&
           fly::rpc_primary(cluster_.lax().db, fly::test::place_order, item());
  }

  std::string item() { return std::to_string(++number_); } // they are unique

  std::int64_t next_multixact() {
    return std::stoll(cluster_.servers().primary().sql(
        "CHECKPOINT; SELECT next_multixact_id FROM pg_control_checkpoint()"));
  }

  void run(const std::string& name, const placing& what, const fly::repo::bound_database& db) {
    auto& into = all_[name];
    auto before = next_multixact();
    std::vector<std::vector<double>> took(static_cast<std::size_t>(callers_));
    std::vector<std::thread> threads;
    auto begun = clock::now();
    for (auto& mine : took)
      threads.emplace_back([&] {
        for (int i = 0; i < writes_; ++i) {
          auto at = clock::now();
          failed_ += !fly::rpc_primary(db, what, item());
          mine.push_back(microseconds{clock::now() - at}.count());
        }
      });
    for (auto& it : threads)
      it.join();
    std::chrono::duration<double> seconds = clock::now() - begun;
    into.per_s.push_back(callers_ * writes_ / seconds.count());
    for (const auto& mine : took)
      into.us.insert(into.us.end(), mine.begin(), mine.end());
    into.multixacts += next_multixact() - before;
  }

  fly::test::three_regions cluster_;
  int callers_;
  int writes_; // of each caller in a round
  std::atomic<int> number_ = 0;
  std::atomic<int> failed_ = 0;
  std::map<std::string, measured> all_; // by case
};

void print(const nlohmann::json& report) {
  static constexpr std::array columns{
      "p50_us", "p99_us", "per_s", "p50_ratio", "p99_ratio", "per_s_ratio", "multixacts_per_write"};
  auto width = [](const char* name) {
    return std::setw(static_cast<int>(std::string_view{name}.size()) + 6);
  };
  std::cout << std::left << std::setw(16) << "case";
  for (const char* it : columns)
    std::cout << std::right << width(it) << it;
  std::cout << '\n' << std::fixed << std::setprecision(2);
  for (const auto& row : report["rows"]) {
    std::cout << std::left << std::setw(16) << row["case"].get<std::string>();
    for (const char* it : columns)
      std::cout << std::right << width(it) << row[it].get<double>();
    std::cout << '\n';
  }
  std::cout << "failed: " << report["failed"] << '\n';
}

} // namespace

int main(int argc, char** argv) {
  int callers = 64;
  int writes = 100;
  int rounds = 5;
  std::string json;
  po::options_description flags{"leader_writes: the cost of a leader's write, and of a key"};
  flags.add_options()("quick", "one short round")("callers", po::value(&callers),
                                                  "threads that write at once")(
      "writes", po::value(&writes), "writes of each caller in a round")(
      "rounds", po::value(&rounds), "rounds, interleaved")("json", po::value(&json),
                                                           "also to FILE");
  return fly::test::run_program("leader_writes", argc, argv, flags, [&](const auto& given) {
    if (given.count("quick") != 0) {
      writes = 10;
      rounds = 1;
    }
    bench all{std::max(callers, 1), std::max(writes, 1)};
    for (int i = 0; i < std::max(rounds, 1); ++i)
      all.round();
    auto report = all.report();
    print(report);
    if (!json.empty())
      std::ofstream{json} << report.dump(2) << '\n';
    return report["failed"] == 0 ? 0 : 1;
  });
}
