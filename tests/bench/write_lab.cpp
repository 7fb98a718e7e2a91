#include "tests/bench/write_lab.hpp"

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <stdexcept>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

#include <pqxx/prepared_statement>
#include <pqxx/version>

#include "fly/actors/error.hpp"
#include "fly/repo/exec.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/postgres_process.hpp"

namespace fly::bench {

using namespace std::chrono_literals;

namespace {

cluster::options where(const std::string& region, const std::string& listen, std::uint16_t port,
                       const std::string& peers) {
  cluster::options result;
  result.busy_poll = cluster::options::from_env().busy_poll; // FLY_BUSY_POLL_US=0 for without
  result.region = region;
  result.primary_region = "syd";
  result.app = "shop";
  result.machine_id = "machine-" + region;
  result.listen = listen;
  result.port = port;
  result.dns_server = "127.0.0.1:1"; // nobody: the peers are given
  result.log = [](cluster::log_level, std::string_view) {};
  for (std::size_t at = 0; at < peers.size();) {
    auto end = std::min(peers.find(',', at), peers.size());
    result.peers.push_back(peers.substr(at, end - at));
    at = end + 1;
  }
  return result;
}

repo::options database_at(const std::string& url) {
  repo::options result;
  result.database_url = url;
  return result;
}

} // namespace

shop_node::shop_node(const std::string& region, const std::string& listen, std::uint16_t port,
                     const std::string& peers, const std::string& database_url)
    : node(where(region, listen, port, peers)), rpc(node), db(rpc, database_at(database_url)) {
  auto place = [](pqxx::transaction_base& tx, std::string item) {
    return repo::exec(tx, insert_order, item)[0][0].as<std::int64_t>();
  };
  db.serve(place_order, place);
  db.serve(place_as_leader, {.on_leader = true}, place);
  if (auto reason = node.join())
    throw std::runtime_error{fly::to_string(reason)};
}

other_process::other_process(const std::string& region, const std::string& listen,
                             std::uint16_t port, const std::string& peers,
                             const std::string& database_url, std::filesystem::path folder)
    : child_({.arguments = {std::filesystem::read_symlink("/proc/self/exe").string(), "--node",
                            region, listen, std::to_string(port), peers, database_url},
              .environment = {"PATH=/usr/bin:/bin"},
              .log = folder / ("node-" + region + ".log")}) {}

int run_node(const std::vector<std::string>& arguments) {
  sigset_t ends; // blocked before the first thread starts, so that all inherit it
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  shop_node here{arguments.at(0), arguments.at(1),
                 static_cast<std::uint16_t>(std::stoi(arguments.at(2))), arguments.at(3),
                 arguments.at(4)};
  int signal = 0;
  sigwait(&ends, &signal);
  here.node.leave();
  return 0;
}

lab::lab()
    : servers_(1, {"max_connections = 200"}), port_(test::free_port()),
      far_port_(test::free_port()) {
  primary().sql("CREATE TABLE orders (id bigserial PRIMARY KEY, item text); "
                "ALTER TABLE orders OWNER TO app");
  servers_.wait_caught_up();
  near_ = std::make_unique<other_process>("syd", "127.0.0.2", port_, "", primary().url(), folder());
  far_ = std::make_unique<shop_node>("lax", "127.0.0.3", far_port_,
                                     "127.0.0.2:" + std::to_string(port_), replica().url());
  bool ready = test::eventually([&] {
    return far_->node.primary().lease.counter > 0 && rpc_and_wait(far(), place_as_leader, item()) &&
           rpc_and_wait(far().once(), place_order, item());
  });
  if (!ready)
    throw std::runtime_error{"the two nodes did not find each other, or nobody leads"};
}

std::string lab::addresses() const {
  return "127.0.0.2:" + std::to_string(port_) + ",127.0.0.3:" + std::to_string(far_port_);
}

sample of_times(const std::vector<double>& us) {
  double sum = 0;
  for (double each : us)
    sum += each;
  return {percentile(us, 0.5), percentile(us, 0.99),
          sum > 0 ? 1e6 * static_cast<double>(us.size()) / sum : 0};
}

sample run_callers(int callers, int calls, const std::function<void(int)>& call) {
  std::vector<std::vector<double>> took(static_cast<std::size_t>(callers));
  std::vector<std::thread> threads;
  auto begun = clock::now();
  for (int caller = 0; caller < callers; ++caller)
    threads.emplace_back([&, caller] {
      auto& mine = took[static_cast<std::size_t>(caller)];
      for (int i = 0; i < calls; ++i) {
        auto at = clock::now();
        call(caller);
        mine.push_back(microseconds{clock::now() - at}.count());
      }
    });
  for (auto& it : threads)
    it.join();
  std::chrono::duration<double> seconds = clock::now() - begun;
  std::vector<double> all;
  for (const auto& mine : took)
    all.insert(all.end(), mine.begin(), mine.end());
  return {percentile(all, 0.5), percentile(all, 0.99),
          static_cast<double>(all.size()) / seconds.count()};
}

// -- table ----------------------------------------------------------------------------------------

void table::add(const std::string& name, const std::string& system, const sample& measured) {
  std::pair key{name, system};
  if (!all_.contains(key))
    order_.push_back(key);
  all_[key].push_back(measured);
}

std::optional<double> table::ratio(const std::string& name, const std::string& system,
                                   const std::string& to, double sample::*of) const {
  auto mine = all_.find({name, system});
  auto peer = all_.find({name, to});
  if (mine == all_.end() || peer == all_.end())
    return std::nullopt;
  std::vector<double> ratios;
  for (std::size_t i = 0; i < std::min(mine->second.size(), peer->second.size()); ++i)
    ratios.push_back(mine->second[i].*of / (peer->second[i].*of));
  return percentile(ratios, 0.5);
}

std::vector<table::row> table::rows() const {
  std::vector<row> result;
  std::map<std::string, std::string> peers;
  for (const auto& [name, system] : order_) {
    auto peer = peers.emplace(name, system).first->second;
    const auto& rounds = all_.at({name, system});
    auto median = [&](double sample::*of) {
      std::vector<double> values;
      for (const auto& it : rounds)
        values.push_back(it.*of);
      return percentile(values, 0.5);
    };
    result.push_back({name,
                      system,
                      {median(&sample::p50_us), median(&sample::p99_us), median(&sample::per_s)},
                      ratio(name, system, peer).value_or(0),
                      ratio(name, system, peer, &sample::p99_us).value_or(0),
                      rounds.size()});
  }
  return result;
}

void table::add_parts(const std::string& name, const repo::write_timing& timing) {
  std::lock_guard guard{mutex_};
  auto& mine = parts_[name];
  mine["to_primary_and_back"].push_back(microseconds{timing.to_primary}.count());
  mine["in_transaction"].push_back(microseconds{timing.in_transaction}.count());
  mine["until_visible"].push_back(microseconds{timing.until_visible}.count());
}

std::map<std::string, std::map<std::string, double>> table::parts() const {
  std::map<std::string, std::map<std::string, double>> result;
  for (const auto& [name, all] : parts_)
    for (const auto& [part, values] : all)
      result[name][part] = percentile(values, 0.5);
  return result;
}

std::atomic<int>& failures() {
  static std::atomic<int> count = 0;
  return count;
}

void prepare_replay_question(pqxx::connection& replica) {
  replica.prepare("replay", "SELECT pg_last_wal_replay_lsn()");
}

pqxx::result ask_replay(pqxx::transaction_base& replica) {
#if PQXX_VERSION_MAJOR >= 7
  return replica.exec(pqxx::prepped{"replay"}, pqxx::params{});
#else
  return replica.exec_prepared("replay");
#endif
}

} // namespace fly::bench
