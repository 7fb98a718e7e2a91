#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <pqxx/connection>
#include <pqxx/result>
#include <pqxx/transaction_base>

#include "apps/local/process.hpp"
#include "fly/cluster/node.hpp"
#include "fly/repo/database.hpp"
#include "fly/repo/rpc_and_wait.hpp"
#include "fly/rpc/endpoint.hpp"
#include "tests/bench/percentile.hpp"
#include "tests/support/postgres.hpp"

namespace fly::bench {

using clock = std::chrono::steady_clock;
using microseconds = std::chrono::duration<double, std::micro>;

inline constexpr repo::write<std::int64_t(std::string)> place_order{"shop.place_order"};
inline constexpr repo::write<std::int64_t(std::string)> place_as_leader{"shop.place_as_leader"};

/// What all systems run: one row.
inline constexpr auto insert_order = "INSERT INTO orders (item) VALUES ($1) RETURNING id";

/// The same as a record, for the verb.
struct order {
  std::int64_t id = 0;
  std::string item;
};

/// A node of the shop, which serves its writes.
struct shop_node {
  /// `peers` are the addresses of nodes to find, with commas.
  shop_node(const std::string& region, const std::string& listen, std::uint16_t port,
            const std::string& peers, const std::string& database_url);

  cluster::node node;
  rpc::endpoint rpc;
  repo::database db;
};

/// A node in a process of its own; this program again, see `run_node`.
class other_process {
public:
  other_process(const std::string& region, const std::string& listen, std::uint16_t port,
                const std::string& peers, const std::string& database_url,
                std::filesystem::path folder);

  pid_t pid() const noexcept { return child_.mark().pid; }

private:
  local::process child_;
};

/// What the child of `other_process` does with the arguments that it was given; until it is ended.
int run_node(const std::vector<std::string>& arguments);

/// The primary and one replica, fsync off (else the disk is what is measured); the primary's node
/// in a process of its own, the far node in this one. Throws where they do not find each other.
class lab {
public:
  lab();

  /// Returns a text that no row has.
  std::string item() { return "item " + std::to_string(++number_); }

  test::postgres_server& primary() { return servers_.primary(); }
  test::postgres_server& replica() { return servers_.replica(); }
  repo::database& far() { return far_->db; }
  cluster::node& far_node() { return far_->node; }
  std::string addresses() const; // of both nodes
  const std::filesystem::path& folder() const { return servers_.folder(); }

private:
  test::postgres servers_;
  std::uint16_t port_;
  std::uint16_t far_port_;
  std::unique_ptr<other_process> near_;
  std::unique_ptr<shop_node> far_;
  std::atomic<std::int64_t> number_ = 0;
};

/// What one system did in one round of a case.
struct sample {
  double p50_us = 0;
  double p99_us = 0;
  double per_s = 0;
};

/// Runs `call(caller)` `calls` times in each of `callers` threads at once.
sample run_callers(int callers, int calls, const std::function<void(int caller)>& call);

/// Makes a sample of single times.
sample of_times(const std::vector<double>& us);

/// All rounds of all cases; the first system of a case is the peer of its others.
class table {
public:
  void add(const std::string& name, const std::string& system, const sample& measured);

  /// Medians of the rounds; `ratio` is that of the p50 to the peer's in the same round.
  struct row {
    std::string name;
    std::string system;
    sample median;
    double ratio = 0;
    double p99_ratio = 0;
    std::size_t rounds = 0;
  };
  std::vector<row> rows() const;

  /// Returns the median over the rounds of p50 (or p99) of one system to another; nothing where one
  /// was not run.
  std::optional<double> ratio(const std::string& name, const std::string& system,
                              const std::string& to, double sample::*of = &sample::p50_us) const;

  /// Adds where the time of one of fly's visible writes went. Safe from any thread.
  void add_parts(const std::string& name, const repo::write_timing& timing);

  /// Medians of these in microseconds, by case and part.
  std::map<std::string, std::map<std::string, double>> parts() const;

private:
  std::vector<std::pair<std::string, std::string>> order_;
  std::map<std::pair<std::string, std::string>, std::vector<sample>> all_;
  std::mutex mutex_;
  std::map<std::string, std::map<std::string, std::vector<double>>> parts_; // guarded by mutex_
};

/// How much is run in a round.
struct amount {
  int rounds = 7;
  int calls = 480; // of all callers together, of each system in each case
  int slow_calls = 48;
  int waits = 5;
  std::chrono::seconds idle{20};
};

/// One round of one case each: all systems, one after the other.
void write_round(lab& on, int callers, const amount& how, table& into);
void visible_round(lab& on, int callers, const amount& how, table& into);
void read_round(lab& on, int callers, const amount& how, table& into);
void waiters_round(lab& on, int waiters, const amount& how, table& into);

/// What a far node in a process of its own takes while nobody calls.
struct idle_figures {
  double queries_per_s = 0;
  double cpu_percent = 0; // of one core
  double rss_mib = 0;
};
idle_figures measure_idle(lab& on, std::chrono::seconds longest);

/// How many calls failed, or came back before the row could be read: of all systems.
std::atomic<int>& failures();

/// Prepares what `ask_replay` asks, once for each connection.
void prepare_replay_question(pqxx::connection& replica);
/// Returns one row with the replay position of a replica, by the prepared statement.
pqxx::result ask_replay(pqxx::transaction_base& replica);

} // namespace fly::bench

FLY_RECORD(fly::bench::order, "orders", key(id), column(item));
