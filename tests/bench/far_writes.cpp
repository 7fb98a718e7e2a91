// far_writes: how long a write from lax takes until lax can read it, on a quiet primary and in the
// situations that made the original wait. The cases are interleaved in rounds; what counts is the
// ratio to the quiet case of the same run.
#include <algorithm>
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

namespace po = boost::program_options;

namespace {

using fly::test::place_order;
using fly::test::three_regions;
using microseconds = std::chrono::duration<double, std::micro>;

/// Microseconds of each write of one case, from all rounds.
using samples = std::vector<double>;

double percentile(samples values, double share) {
  std::sort(values.begin(), values.end());
  auto index = static_cast<std::size_t>(share * static_cast<double>(values.size() - 1));
  return values.at(index);
}

class bench {
public:
  explicit bench(int writes) : writes_(writes) {
    primary().sql("CREATE TABLE bulk (a int, b text)");
    run("warm", 20, [] {});
  }

  void round() {
    run("quiet", writes_, [] {});
    {
      std::atomic<bool> ending = false;
      std::thread one{[&] { write_bulk(ending); }};
      std::thread two{[&] { write_bulk(ending); }};
      run("beside two bulk writers", writes_, [] {});
      ending = true;
      one.join();
      two.join();
    }
    cluster_.servers().wait_caught_up();
    run("after pg_switch_wal()", std::max(writes_ / 20, 5),
        [&] { primary().sql("SELECT pg_switch_wal()"); });
    pqxx::connection other{primary().url()};
    pqxx::work open{other};
    open.exec("INSERT INTO once (item) VALUES ('open " + std::to_string(++number_) + "')");
    run("beside an open transaction", writes_, [] {});
  }

  nlohmann::json report() const {
    auto rows = nlohmann::json::array();
    const auto& quiet = all_.at("quiet");
    for (const auto& [name, values] : all_) {
      if (name == "warm")
        continue;
      rows.push_back({{"case", name},
                      {"system", "fly"},
                      {"writes", values.size()},
                      {"p50_us", percentile(values, 0.5)},
                      {"p99_us", percentile(values, 0.99)},
                      {"p50_ratio", percentile(values, 0.5) / percentile(quiet, 0.5)},
                      {"p99_ratio", percentile(values, 0.99) / percentile(quiet, 0.99)}});
    }
    return {{"rows", rows}, {"stale", stale_}, {"failed", failed_}};
  }

private:
  fly::test::postgres_server& primary() { return cluster_.servers().primary(); }

  void write_bulk(const std::atomic<bool>& ending) {
    pqxx::connection session{primary().url("postgres")};
    while (!ending) {
      pqxx::work tx{session};
      tx.exec("INSERT INTO bulk SELECT i, repeat('x', 50) FROM generate_series(1, 500) i");
      tx.commit();
    }
  }

  void run(const std::string& name, int count, const std::function<void()>& before) {
    for (int i = 0; i < count; ++i) {
      before();
      auto item = name + std::to_string(++number_);
      auto began = std::chrono::steady_clock::now();
      auto placed = fly::rpc_and_wait(cluster_.lax().db, place_order, item);
      microseconds took = std::chrono::steady_clock::now() - began;
      failed_ += !placed || !placed->visible();
      stale_ += cluster_.lax().rows("orders", item) != 1;
      all_[name].push_back(took.count());
    }
  }

  three_regions cluster_;
  int writes_;
  int number_ = 0;
  int stale_ = 0;
  int failed_ = 0;
  std::map<std::string, samples> all_;
};

void print(const nlohmann::json& report) {
  std::cout << std::left << std::setw(30) << "case" << std::right << std::setw(8) << "writes"
            << std::setw(11) << "p50 us" << std::setw(11) << "p99 us" << std::setw(12)
            << "p50 ratio" << std::setw(12) << "p99 ratio" << '\n'
            << std::fixed << std::setprecision(2);
  for (const auto& row : report["rows"])
    std::cout << std::left << std::setw(30) << row["case"].get<std::string>() << std::right
              << std::setw(8) << row["writes"].get<int>() << std::setw(11)
              << row["p50_us"].get<double>() << std::setw(11) << row["p99_us"].get<double>()
              << std::setw(12) << row["p50_ratio"].get<double>() << std::setw(12)
              << row["p99_ratio"].get<double>() << '\n';
  std::cout << "stale reads: " << report["stale"] << ", not visible or failed: " << report["failed"]
            << '\n';
}

} // namespace

int main(int argc, char** argv) {
  int writes = 300;
  int rounds = 5;
  std::string json;
  po::options_description flags{"far_writes: a write from a far region until it is readable there"};
  flags.add_options()("help,h", "this text")("quick", "one short round")(
      "writes", po::value(&writes), "writes of each case in a round")(
      "rounds", po::value(&rounds), "rounds, interleaved")("json", po::value(&json),
                                                           "also to FILE");
  try {
    po::variables_map given;
    po::store(po::parse_command_line(argc, argv, flags), given);
    po::notify(given);
    if (given.count("help") != 0) {
      std::cout << flags;
      return 0;
    }
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
  } catch (const std::exception& reason) {
    std::cerr << "far_writes: " << reason.what() << '\n';
    return 2;
  }
}
