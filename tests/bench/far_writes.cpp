// far_writes: how long a write from lax takes until lax can read it, on a quiet primary and in the
// situations that made the original wait. The cases are interleaved in rounds; what counts is the
// ratio to the quiet case of the same run, and to the peer: plain libpqxx that inserts at the
// primary and then asks the replica for the row without a pause, which is as early as the servers
// allow.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <fstream>
#include <functional>
#include <iomanip>
#include <iostream>
#include <map>
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
using fly::test::place_order;
using fly::test::three_regions;
using clock = std::chrono::steady_clock;
using microseconds = std::chrono::duration<double, std::micro>;

/// Microseconds of the writes of one case by one system, from all rounds.
struct samples {
  std::vector<double> all;
  std::vector<double> waits; // of all: from the answer of the COMMIT until the row is there
};

class bench {
public:
  explicit bench(int writes) : writes_(writes) {
    primary().sql("CREATE TABLE bulk (a int, b text)");
    run("warm", 20, [] {});
  }

  void round() {
    run("quiet", writes_, [] {});
    // 500 rows in each transaction: first no more than the replicas replay, then all that the
    // primary takes, where they fall behind by seconds.
    beside_bulk_writers("beside two bulk writers", writes_, std::chrono::milliseconds{10});
    beside_bulk_writers("beside a flood", std::max(writes_ / 10, 5), {});
    run("after pg_switch_wal()", std::max(writes_ / 20, 5), [&] {
      primary().sql("SELECT pg_switch_wal()");
      cluster_.servers().wait_caught_up();
    });
    // The rest of the old segment, up to 16 MiB of zeros, is on its way to the replicas.
    run("within pg_switch_wal()", std::max(writes_ / 20, 5),
        [&] { primary().sql("SELECT pg_switch_wal()"); });
    pqxx::connection other{primary().url()};
    pqxx::work open{other};
    open.exec("INSERT INTO once (item) VALUES ('open " + std::to_string(++number_) + "')");
    run("beside an open transaction", writes_, [] {});
  }

  nlohmann::json report() const {
    auto rows = nlohmann::json::array();
    for (const auto& [key, values] : measured_) {
      const auto& [name, system] = key;
      if (name == "warm")
        continue;
      const auto& quiet = measured_.at({"quiet", system});
      const auto& peer = measured_.at({name, "libpqxx"});
      rows.push_back(
          {{"case", name},
           {"system", system},
           {"writes", values.all.size()},
           {"p50_us", percentile(values.all, 0.5)},
           {"p99_us", percentile(values.all, 0.99)},
           {"wait_p50_us", percentile(values.waits, 0.5)},
           {"wait_p99_us", percentile(values.waits, 0.99)},
           {"p50_ratio", percentile(values.all, 0.5) / percentile(quiet.all, 0.5)},
           {"wait_p99_ratio", percentile(values.waits, 0.99) / percentile(quiet.waits, 0.99)},
           {"peer_p50_ratio", percentile(values.all, 0.5) / percentile(peer.all, 0.5)},
           {"peer_wait_p99_ratio", percentile(values.waits, 0.99) / percentile(peer.waits, 0.99)}});
    }
    return {{"rows", rows}, {"stale", stale_}, {"failed", failed_}};
  }

private:
  fly::test::postgres_server& primary() { return cluster_.servers().primary(); }

  void beside_bulk_writers(const std::string& name, int writes, std::chrono::milliseconds pause) {
    std::atomic<bool> ending = false;
    auto write_bulk = [&] {
      pqxx::connection session{primary().url("postgres")};
      while (!ending) {
        pqxx::work tx{session};
        tx.exec("INSERT INTO bulk SELECT i, repeat('x', 50) FROM generate_series(1, 500) i");
        tx.commit();
        std::this_thread::sleep_for(pause);
      }
    };
    std::thread one{write_bulk};
    std::thread two{write_bulk};
    run(name, writes, [] {});
    ending = true;
    one.join();
    two.join();
    cluster_.servers().wait_caught_up();
    primary().sql("TRUNCATE bulk");
  }

  void run(const std::string& name, int count, const std::function<void()>& before) {
    for (int i = 0; i < count; ++i) {
      before();
      write_by_fly(measured_[{name, "fly"}], name + std::to_string(++number_));
      before();
      write_by_peer(measured_[{name, "libpqxx"}], name + std::to_string(++number_));
    }
  }

  void write_by_fly(samples& into, const std::string& item) {
    auto began = clock::now();
    auto placed = fly::rpc_and_wait(cluster_.lax().db, place_order, item);
    microseconds took = clock::now() - began;
    failed_ += !placed || !placed->visible();
    stale_ += cluster_.lax().rows("orders", item) != 1;
    into.all.push_back(took.count());
    if (placed)
      into.waits.push_back(microseconds{placed->timing().until_visible}.count());
  }

  void write_by_peer(samples& into, const std::string& item) {
    auto began = clock::now();
    pqxx::work tx{at_primary_};
    fly::repo::exec(tx, "INSERT INTO orders (item) VALUES ($1) RETURNING id", item);
    tx.commit();
    auto committed = clock::now();
    for (bool found = false; !found;) {
      pqxx::nontransaction look{at_replica_};
      found = !fly::repo::exec(look, "SELECT id FROM orders WHERE item = $1", item).empty();
    }
    auto ended = clock::now();
    into.all.push_back(microseconds{ended - began}.count());
    into.waits.push_back(microseconds{ended - committed}.count());
  }

  three_regions cluster_;
  pqxx::connection at_primary_{cluster_.servers().primary().url()};
  pqxx::connection at_replica_{cluster_.lax_database().url()};
  int writes_;
  int number_ = 0;
  int stale_ = 0;
  int failed_ = 0;
  std::map<std::pair<std::string, std::string>, samples> measured_; // by case and system
};

void print(const nlohmann::json& report) {
  static constexpr std::array columns{"p50_us",      "p99_us",         "wait_p50_us",
                                      "wait_p99_us", "wait_p99_ratio", "peer_wait_p99_ratio"};
  std::cout << std::left << std::setw(27) << "case" << std::setw(8) << "system";
  for (const char* it : columns)
    std::cout << std::right << std::setw(static_cast<int>(std::string_view{it}.size()) + 6) << it;
  std::cout << '\n' << std::fixed << std::setprecision(2);
  for (const auto& row : report["rows"]) {
    std::cout << std::left << std::setw(27) << row["case"].get<std::string>() << std::setw(8)
              << row["system"].get<std::string>();
    for (const char* it : columns)
      std::cout << std::right << std::setw(static_cast<int>(std::string_view{it}.size()) + 6)
                << row[it].get<double>();
    std::cout << '\n';
  }
  std::cout << "stale reads: " << report["stale"] << ", not visible or failed: " << report["failed"]
            << '\n';
}

} // namespace

int main(int argc, char** argv) {
  int writes = 300;
  int rounds = 5;
  std::string json;
  po::options_description flags{"far_writes: a write from a far region until it is readable there"};
  flags.add_options()("quick", "one short round")("writes", po::value(&writes),
                                                  "writes of each case in a round")(
      "rounds", po::value(&rounds), "rounds, interleaved")("json", po::value(&json),
                                                           "also to FILE");
  return fly::test::run_program("far_writes", argc, argv, flags, [&](const auto& given) {
    if (given.count("quick") != 0) {
      writes = 50;
      rounds = 1;
    }
    bench all{std::max(writes, 1)};
    for (int i = 0; i < rounds; ++i)
      all.round();
    auto report = all.report();
    print(report);
    if (!json.empty())
      std::ofstream{json} << report.dump(2) << '\n';
    return report["stale"] == 0 && report["failed"] == 0 ? 0 : 1;
  });
}
