// rpc: how long a call takes and how many there are in a second, by fly and by its peers. Server
// and client are two processes on loopback, once pinned to one core and once not; the systems take
// turns in every case. What counts are the ratios within one run: to a raw TCP ping-pong of the
// same payload in the same round, and to the peers.
#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <vector>

#include <unistd.h>

#include <boost/program_options.hpp>

#include <nlohmann/json.hpp>

#include "fly/cluster/certificates.hpp"
#include "tests/bench/rpc/peer.hpp"
#include "tests/bench/rpc/process.hpp"
#include "tests/support/program.hpp"

namespace po = boost::program_options;

namespace {

using fly::bench::process;

struct bench_case {
  const char* name;
  std::size_t bytes;
  std::size_t in_flight;
};

constexpr std::array cases{bench_case{"call/16B/1", 16, 1},
                           bench_case{"call/64KiB/1", 64 * 1024, 1},
                           bench_case{"call/16B/16", 16, 16}, bench_case{"call/16B/64", 16, 64},
                           bench_case{"call/16B/256", 16, 256}};

/// What one run gave.
struct figures {
  double p50_us = 0;
  double p99_us = 0;
  double calls_per_s = 0;
  double ratio = 0; // 0 where there is nothing to compare with
  double client_cpu_us = 0;
  double server_cpu_us = 0;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.at(values.size() / 2);
}

/// A system under test: both of its processes.
struct running {
  running(const std::string& program, bool one_core, const std::string& tls)
      : server(program, "server", "", one_core, tls),
        client(program, "client", server.read(), one_core, tls) {}

  figures run(const bench_case& what, const std::string& variant, double seconds) {
    auto client_before = client.cpu();
    auto server_before = server.cpu();
    std::ostringstream line;
    line << what.bytes << ' ' << what.in_flight << ' ' << seconds << ' '
         << (variant.empty() ? "-" : variant);
    client.write(line.str());
    auto answer = client.read();
    std::istringstream in{answer};
    figures result;
    double calls = 0;
    if (!(in >> result.p50_us >> result.p99_us >> calls >> result.calls_per_s))
      throw std::runtime_error{answer};
    auto per_call = [calls](std::chrono::microseconds used) {
      return static_cast<double>(used.count()) / calls;
    };
    result.client_cpu_us = per_call(client.cpu() - client_before);
    result.server_cpu_us = per_call(server.cpu() - server_before);
    return result;
  }

  process server;
  process client;
};

/// A folder with an authority's certificate, and one with its key for all that are encrypted.
class certificates {
public:
  certificates() {
    namespace cluster = fly::cluster;
    folder_ = (std::filesystem::temp_directory_path() / "fly-bench-XXXXXX").string();
    if (::mkdtemp(folder_.data()) == nullptr)
      throw std::runtime_error{"no folder for certificates"};
    auto authority = cluster::make_authority(fly::bench::tls_app, {});
    auto made = cluster::issue_certificate(*authority, {.app = fly::bench::tls_app});
    write("ca.pem", authority->certificate);
    write("node.pem", made->certificate);
    write("node.key", made->key);
  }
  ~certificates() { std::filesystem::remove_all(folder_); }
  certificates(const certificates&) = delete;
  certificates& operator=(const certificates&) = delete;

  const std::string& folder() const noexcept { return folder_; }

private:
  void write(const char* name, const std::string& content) const {
    std::ofstream{folder_ + "/" + name} << content;
  }

  std::string folder_;
};

/// All that is measured: by placement, case and system, a value for each round.
class bench {
public:
  bench(const std::vector<std::string>& systems, std::string folder, double seconds)
      : folder_(std::move(folder)), seconds_(seconds) {
    for (const auto& system : systems)
      if (::access(program(system).c_str(), X_OK) == 0)
        systems_.push_back(system);
      else
        missing_.push_back(system);
    for (bool pinned : {true, false})
      for (const auto& system : systems_) {
        running_[{pinned, system}] = std::make_unique<running>(program(system), pinned, "");
        if (is_encrypted(system))
          running_[{pinned, system + tls}] =
              std::make_unique<running>(program(system), pinned, certificates_.folder());
      }
  }

  void round() {
    for (bool pinned : {true, false})
      for (const auto& what : cases) {
        auto floor = 0.0;
        for (const auto& system : systems_) {
          if (system == "tcp" && what.in_flight > 1)
            continue;
          floor = std::max(floor, run(pinned, what, system, "", floor));
          if (system == "fly")
            run(pinned, what, system, "pool", floor);
          if (is_encrypted(system))
            run(pinned, what, system, tls, floor);
        }
      }
  }

  nlohmann::json report() const {
    auto rows = nlohmann::json::array();
    for (const auto& [key, rounds] : measured_) {
      auto of = [&rounds = rounds](double figures::*which) {
        std::vector<double> values;
        for (const auto& each : rounds)
          values.push_back(each.*which);
        return median(std::move(values));
      };
      nlohmann::json row{{"case", std::get<1>(key)},
                         {"system", std::get<2>(key)},
                         {"pinned", !std::get<0>(key)},
                         {"p50_us", of(&figures::p50_us)},
                         {"p99_us", of(&figures::p99_us)},
                         {"calls_per_s", of(&figures::calls_per_s)},
                         {"client_cpu_us", of(&figures::client_cpu_us)},
                         {"server_cpu_us", of(&figures::server_cpu_us)}};
      if (auto ratio = of(&figures::ratio); ratio > 0)
        row["ratio"] = ratio;
      rows.push_back(std::move(row));
    }
    return {{"rows", rows}, {"rounds", rounds()}, {"not_built", missing_}};
  }

private:
  static constexpr const char* tls = "tls";

  /// Those that are measured with both sides showing a certificate, too.
  static bool is_encrypted(const std::string& system) {
    return system == "fly" || system == "grpc";
  }

  using row_key = std::tuple<bool, std::string, std::string>; // unpinned, case, system

  std::string program(const std::string& system) const { return folder_ + "/fly_bench_" + system; }

  std::size_t rounds() const { return measured_.empty() ? 0 : measured_.begin()->second.size(); }

  /// Returns the p50 of a floor, 0 of any other system.
  double run(bool pinned, const bench_case& what, const std::string& system,
             const std::string& variant, double floor) {
    auto name = std::string{what.name} + (variant.empty() ? "" : "/" + variant);
    try {
      auto result = variant == tls ? running_.at({pinned, system + tls})->run(what, "", seconds_)
                                   : running_.at({pinned, system})->run(what, variant, seconds_);
      if (system == "tcp")
        floor = result.p50_us;
      result.ratio = floor > 0 ? result.p50_us / floor : 0;
      measured_[{!pinned, name, system}].push_back(result);
      return system == "tcp" ? result.p50_us : 0;
    } catch (const std::exception& reason) {
      throw std::runtime_error{system + ", " + name + ": " + reason.what()};
    }
  }

  std::string folder_;
  double seconds_;
  const certificates certificates_;
  std::vector<std::string> systems_;
  std::vector<std::string> missing_;
  std::map<std::pair<bool, std::string>, std::unique_ptr<running>> running_;
  std::map<row_key, std::vector<figures>> measured_;
};

void print(const nlohmann::json& report) {
  std::cout << std::left << std::setw(22) << "case" << std::setw(8) << "system" << std::setw(10)
            << "" << std::right << std::setw(10) << "p50_us" << std::setw(10) << "p99_us"
            << std::setw(12) << "calls_per_s" << std::setw(8) << "ratio" << std::setw(12)
            << "client_cpu" << std::setw(12) << "server_cpu" << '\n'
            << std::fixed;
  for (const auto& row : report["rows"]) {
    auto ratio = row.value("ratio", 0.0);
    std::cout << std::left << std::setw(22) << row["case"].get<std::string>() << std::setw(8)
              << row["system"].get<std::string>() << std::setw(10)
              << (row["pinned"].get<bool>() ? "pinned" : "unpinned") << std::right
              << std::setprecision(1) << std::setw(10) << row["p50_us"].get<double>()
              << std::setw(10) << row["p99_us"].get<double>() << std::setprecision(0)
              << std::setw(12) << row["calls_per_s"].get<double>() << std::setprecision(2)
              << std::setw(8);
    if (ratio > 0)
      std::cout << ratio;
    else
      std::cout << "-";
    std::cout << std::setw(12) << row["client_cpu_us"].get<double>() << std::setw(12)
              << row["server_cpu_us"].get<double>() << '\n';
  }
  for (const auto& each : report["not_built"])
    std::cout << "not built: " << each.get<std::string>() << '\n';
}

} // namespace

int main(int argc, char** argv) {
  int rounds = 5;
  double seconds = 0.4;
  std::string json;
  std::vector<std::string> systems{"tcp", "fly", "grpc", "capnp", "caf"};
  po::options_description flags{"rpc: how long a call takes, and how many there are in a second"};
  flags.add_options()("quick", "one short round")("rounds", po::value(&rounds),
                                                  "rounds, interleaved")(
      "seconds", po::value(&seconds), "of each run")("system", po::value(&systems)->multitoken(),
                                                     "only these: tcp, fly, grpc, capnp, caf")(
      "json", po::value(&json), "also to FILE");
  return fly::test::run_program("rpc", argc, argv, flags, [&](const auto& given) {
    if (given.count("quick") != 0) {
      rounds = 1;
      seconds = 0.2;
    }
    std::string self = argv[0];
    bench all{systems, self.substr(0, self.rfind('/')), seconds};
    for (int i = 0; i < rounds; ++i)
      all.round();
    auto report = all.report();
    print(report);
    if (!json.empty())
      std::ofstream{json} << report.dump(2) << '\n';
    return 0;
  });
}
